"""The protocol recomputed row by row in plain Python: slow, and plain enough to be read beside its text."""

import statistics


class ByHand:
    """The protocol's text, one row at a time."""

    def __init__(self, ratings, parts, options, means_before_split=False):
        self.options = options
        self.means_before_split = means_before_split
        self.rows = [
            {"row": row, "user": user, "item": item, "time": time, "label": int(rating > 3), "part": parts[row]}
            for row, (user, item, rating, time) in enumerate(ratings)
            if row in parts
        ]
        self.g = statistics.fmean(row["label"] for row in self.rows if row["part"] == "train")

    def earlier(self, row):
        parts = {"train"} if self.options.state == "frozen" else {"train", "validation", "test"}
        return [other for other in self.rows if other["time"] < row["time"] and other["part"] in parts]

    def same_piece(self, row):
        return [other for other in self.rows if (other["part"] == "test") == (row["part"] == "test")]

    def mean(self, row, key):
        if "target_mean" in self.options.leaks:
            known = self.rows if self.means_before_split else self.same_piece(row)
            return statistics.fmean(other["label"] for other in known if other[key] == row[key])
        labels = [other["label"] for other in self.earlier(row) if other[key] == row[key]]
        return (sum(labels) + 5 * self.g) / (len(labels) + 5)

    def history(self, row):
        known = self.same_piece(row) if "history" in self.options.leaks else self.earlier(row)
        liked = [other for other in known if other["user"] == row["user"] and other["label"]]
        liked.sort(key=lambda other: (other["time"], other["row"]))
        return [other["item"] for other in liked[-self.options.max_history :]]
