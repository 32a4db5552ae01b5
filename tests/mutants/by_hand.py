"""Mutants written by hand: wrong lines of the kinds that a tool does not make, each of which once passed a test run.

A line is a file, what stands there once, and what is put in its place. `()` in a comment says which rule it breaks.
"""

from collections.abc import Collection, Iterator
from pathlib import Path

from tests.mutants.draw import Mutant, Mutated

_LIST = [
    # an item is left out at the end of each chunk
    ("prerank/snapshot.py", "min(start + kernel.chunk, count)", "min(start + kernel.chunk - 1, count)"),
    (
        "prerank/kernels/meta_query.py",
        "min(first + self._heads.chunk, stop)",
        "min(first + self._heads.chunk - 1, stop)",
    ),
    ("training/scoring.py", "min(start + _ITEMS_A_CALL, self._items)", "min(start + _ITEMS_A_CALL - 1, self._items)"),
    ("training/scoring.py", "values[start : start + _ITEMS_A_CALL]", "values[start : start + _ITEMS_A_CALL + 1]"),
    ("training/scoring.py", "slice(start, start + _ROWS_A_CALL) for", "slice(start, start + _ROWS_A_CALL - 1) for"),
    ("training/scoring.py", "requests[start : start + at_once]", "requests[: at_once]"),
    ("prerank/build_index.py", "values[start : start + _BATCH]", "values[start : start + _BATCH - 1]"),
    # the order of equal scores
    (
        "prerank/order.py",
        "enough = scores >= least\n",
        "return np.argsort(-scores)[:n]\n    enough = scores >= least\n",
    ),
    ("prerank/order.py", "np.flatnonzero(scores > least)", "np.flatnonzero(scores > least)[::-1]"),
    ("prerank/order.py", "== value)[:count] + start", "== value)[-count:] + start"),
    # candidates are given out of order
    ("prerank/snapshot.py", "        if order is None:\n", "        if True:\n"),
    ("prerank/snapshot.py", "row[order] = of_row", "row[:] = of_row[order]"),
    # fingerprints that go by sizes
    ("preprocess/prepare.py", '"sha256": file.sha256, ', ""),
    ("preprocess/prepare.py", '"name": file.path.name, ', ""),
    ("prerank/digests.py", 'decisive["files"] = {name: entry for', 'decisive["files"] = {name: entry["bytes"] for'),
    (
        "prerank/digests.py",
        'if isinstance(expected, Mapping) and found.hexdigest() != expected["sha256"]:',
        "if False:",
    ),
    ("prerank/index.py", 'if _checksum(path) != described["sha256"]:', "if False:"),
    # run ids that ignore an option
    ("training/config.py", '"output_dir", "overwrite",', '"output_dir", "patience", "overwrite",'),
    ("training/config.py", '"output_dir", "overwrite",', '"output_dir", "embedding_l2", "overwrite",'),
    ("training/config.py", "used(self.values()).items()", "used(self.run.model_dump(mode='json')).items()"),
    ("training/config.py", "[without_added(values), data_fingerprint, *distributed]", "[without_added(values)]"),
    ("preprocess/options.py", "sample_rate=self.sample_rate,", "sample_rate=1.0,"),
    # FIT's user side
    ("models/fit/model.py", "parts.append(self.history_unit([", "parts.append(2 * self.history_unit(["),
    ("models/fit/model.py", "if name not in self.behaviours]", "]"),
    # padding
    (
        "layers/embedding.py",
        "weights = tf.cast(mask, embeddings.dtype)",
        "weights = tf.ones_like(mask, embeddings.dtype)",
    ),
    (
        "layers/code_attention.py",
        "tf.where(mask, tf.nn.softmax(tf.where(mask, scores, _MASKED)), 0.0)",
        "tf.nn.softmax(scores)",
    ),
    # what is measured after an epoch
    ("training/callbacks.py", "1 / (1 + np.exp(-rated.astype", "1 / (1 + np.exp(rated.astype"),
    ("training/callbacks.py", "logs[self._selected] > progress.best_auc", "logs[self._selected] >= progress.best_auc"),
    (
        "training/evaluation.py",
        '("test_seen_users", ~unseen), ("test_unseen_users", unseen)',
        '("test_seen_users", unseen), ("test_unseen_users", ~unseen)',
    ),
    ("training/evaluation.py", '"logit": logits}', '"logit": -logits}'),
    # training
    (
        "training/objective_setup.py",
        "return config.run.oov_rate\n    return 0.0 if",
        "return config.run.oov_rate\n    return 0.0 if True or",
    ),
    ("training/objective_setup.py", "else _DEFAULT_OOV_RATE", "else 0.5"),
    ("training/objective_setup.py", "oov_rate=oov_rate(config), seed", "oov_rate=0.0, seed"),
    ("training/progress.py", "model=model, optimizer=optimizer, **named", "model=model, **named"),
    (
        "training/progress.py",
        "        last = progress.epochs - 1\n",
        "        last = progress.epochs - 1\n"
        "        folders.write_text(self._folder / PROGRESS, json.dumps(asdict(progress)))\n",
    ),
    # the report's verdict
    ("experiments/report/entries.py", "if self.low <= 0 <= self.high or (", "if self.low <= 0 <= self.high and ("),
    ("experiments/report/entries.py", "self.p >= _LEVEL", "self.p > _LEVEL"),
    ("experiments/report/entries.py", "self.low <= 0 <= self.high", "self.low < 0 < self.high"),
    # times
    ("preprocess/state.py", 'joined[TIMESTAMP] <= joined["_last"]', 'joined[TIMESTAMP] < joined["_last"]'),
    ("preprocess/state.py", 'joined[TIMESTAMP] < joined["_end"]', 'joined[TIMESTAMP] <= joined["_end"]'),
    ("preprocess/splits.py", "((local % _DAY) + _DAY) % _DAY", "local % _DAY"),
    ("preprocess/splits.py", "spec.item_id, TIMESTAMP]\n    return with_hash", "spec.item_id]\n    return with_hash"),
    ("preprocess/negatives.py", 'spec.item_id, TIMESTAMP, "_draw"]', 'spec.item_id, "_draw"]'),
    ("preprocess/negatives.py", "own = rows.select(", "own = positives.select("),
    # numbers
    ("preprocess/writing.py", "mean, scale = float(values[0]), 1.0", "pass"),
    ("prerank/storage.py", "np.rint(array / scales).astype", "(array / scales).astype"),
    ("prerank/storage.py", "np.clip(array, -limit, limit), np.float16", "array, np.float16"),
    # several at once
    (
        "prerank/snapshot.py",
        "        stamp = index.stamp(folder)  # before reading: a version that comes between is then picked up by "
        "the next look\n        version, states = index.read(folder, fingerprint, layout)\n",
        "        version, states = index.read(folder, fingerprint, layout)\n        stamp = index.stamp(folder)\n",
    ),
    (
        "prerank/watching.py",
        "            if lock.acquire(blocking=False):",
        "            if lock.acquire(blocking=False) or True:",
    ),
    ("prerank/index.py", "stack.enter_context(locked(folder / LOCK, wait))", "pass"),
    (
        "preprocess/prepare.py",
        "with locked(folder.parent / LOCK, report):",
        "if folder.parent.mkdir(parents=True, exist_ok=True) is None:",
    ),
    # requests
    (
        "training/requests.py",
        "left_out = _items_of(groups, numbers, train.keep(train.labelled))",
        "left_out = [np.array([], int) for _ in groups]",
    ),
    ("training/requests.py", "[np.setdiff1d(found, known) for", "[found for"),
]


def mutants(root: Path, files: Collection[str]) -> Iterator[Mutated]:
    """The mutants of some files.

    Raises:
        ValueError: what is to be replaced does not stand there once.
    """
    for number, (file, old, new) in enumerate(_LIST):
        if file not in files:
            continue
        text = (root / file).read_text("utf-8")
        if text.count(old) != 1:
            raise ValueError(f"tests/mutants/by_hand.py: {file} has {text.count(old)} times: {old!r}")
        line = text[: text.index(old)].count("\n") + 1
        mutant = Mutant(file, line, "by hand", number, " ".join(old.split()), " ".join(new.split()))
        yield Mutated(mutant, text.replace(old, new))
