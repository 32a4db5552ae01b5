"""Which raw data the settings of a data set are of: several may go by one name, as MovieLens-1M and -100K do."""

from collections.abc import Iterable, Mapping

from experiments.runs import Setting


def data_names(raw_data: Mapping[Setting, str]) -> dict[Setting, str]:
    """A name of each setting's raw data; empty for the settings of a data set whose runs are all of the same data.

    Settings belong together if their runs name the same raw data. Runs from before that was kept name none: they
    count as of the data set's only data as long as no two settings of the data set have one title. Otherwise each of
    them is named by its own fingerprint, and so is one whose title occurs twice on the same raw data.

    Args:
        raw_data: of each setting the hash of its raw data, or empty.
    """
    of_dataset: dict[str, list[Setting]] = {}
    for setting in raw_data:
        of_dataset.setdefault(setting.dataset, []).append(setting)
    names: dict[Setting, str] = {}
    for mine in of_dataset.values():
        groups: dict[str, list[Setting]] = {}
        for setting in mine:
            groups.setdefault(raw_data[setting], []).append(setting)
        if len(groups.keys() - {""}) <= 1 and unique(mine):
            names |= dict.fromkeys(mine, "")
            continue
        for name, members in groups.items():
            names |= {member: name if name and unique(members) else member.fingerprint for member in members}
    return names


def unique(settings: Iterable[Setting]) -> bool:
    """Whether no two settings have one title."""
    titles = [setting.title for setting in settings]
    return len(set(titles)) == len(titles)
