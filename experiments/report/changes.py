"""Tables of what one change does: a leak switched off, an option, the number of heads, tuned options."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from experiments.ablations import PRESETS
from experiments.report import published
from experiments.report.entries import Board, Entry, Spread
from experiments.report.table import DASH, Cell, Table, code
from experiments.report.tables import auc_and_logloss, cell, difference, heading, published_cell, whole
from experiments.runs import spelt
from experiments.tuned import Tuned
from preprocess.options import LEAKS


def leak_boards(dataset_boards: Sequence[Board]) -> tuple[Board, dict[str, Board]] | None:
    """`reference`, and by leak the same without it, `all` for none of them; None if there is nothing to compare."""
    columns: dict[str, Board] = {}
    for board in dataset_boards:
        setting = board.setting
        if setting.protocol == "reference" and not setting.options:
            off = [leak for leak in LEAKS if leak not in setting.leaks]
            columns[", ".join(off) if len(off) < len(LEAKS) else "all"] = board
    whole = columns.pop("", None)
    if whole is None or not columns:
        return None
    names = sorted(columns, key=lambda name: (name == "all", [*LEAKS, name].index(name)))
    return whole, {name: columns[name] for name in names}


def leaks(dataset_boards: Sequence[Board]) -> Table | None:
    """`reference` with leaks switched off, a column each, for the models that have such runs."""
    found = leak_boards(dataset_boards)
    if found is None:
        return None
    whole, columns = found
    models = [e.model for e in whole.defaults if any(board.entry(e.model) for board in columns.values())]
    rows = [
        [code(model), cell(_spread(whole, model)), *(cell(_spread(board, model)) for board in columns.values())]
        for model in models
    ]
    note = "Test AUC. Each column's data are prepared anew, so its test rows and features differ from the others'."
    header = [
        "model",
        "`reference`",
        *(f"without {name} leaks" if name == "all" else f"without `{name}`" for name in columns),
    ]
    return Table("`reference` with one leak switched off at a time", header, rows, [note])


def _spread(board: Board, model: str) -> Spread | None:
    entry = board.entry(model)
    return entry.spread("auc") if entry else None


def variants(board: Board, chosen: Callable[[Entry], bool]) -> Table | None:
    """Models with other options beside the same with their defaults, under one setting."""
    rows = []
    last = ""
    for entry in filter(chosen, board.variants):
        default = board.entry(entry.model)
        if default and entry.model != last:
            rows.append(_variant_row(default, None, "defaults"))
        last = entry.model
        rows.append(_variant_row(entry, default, entry.title.removeprefix(f"{entry.model} ")))
    header = ["model", "options", "seeds", "AUC", "LogLoss", "GAUC", "AUC less the default's", "parameters"]
    return Table(heading(board), header, rows) if rows else None


def _variant_row(entry: Entry, default: Entry | None, options: str) -> list[Cell]:
    return [
        code(entry.model),
        Cell(options if options == "defaults" else f"`{options}`"),
        Cell(entry.seeds, len(entry.finished)),
        *(cell(entry.spread(name)) for name in ("auc", "logloss", "gauc")),
        difference(entry.compare(default)),
        cell(whole(entry.spread("parameters", None)), 0),
    ]


def head_entries(board: Board) -> dict[int, Entry]:
    """HIT by the number of heads, the same on both sides, all else at its default."""
    found: dict[int, Entry] = {}
    for entry in board.entries:
        run = next(iter(entry.finished.values()), None)
        others = {name for name, _ in entry.variant} - {"user_heads", "item_heads"}
        if entry.model == "hit" and run and not others and run.config["user_heads"] == run.config["item_heads"]:
            found[run.config["user_heads"]] = entry
    return dict(sorted(found.items()))


def heads(dataset_boards: Iterable[Board]) -> Table | None:
    """HIT's AUC by the number of heads, the published one beside."""
    sweeps = [(board, found) for board in dataset_boards if len(found := head_entries(board)) > 1]
    if not sweeps:
        return None
    known = published.heads(sweeps[0][0].setting.dataset, "hit")
    counts = sorted({count for _, found in sweeps for count in found})
    rows = [
        [
            Cell(str(count), count),
            *(cell(found[count].spread("auc")) if count in found else DASH for _, found in sweeps),
            Cell(f"{known[count]:.4f}", known[count]) if count in known else DASH,
        ]
        for count in counts
    ]
    header = ["heads a side", *(f"AUC, `{board.setting.title}`" for board, _ in sweeps), "published (HIT)"]
    return Table("Heads of `hit`", header, rows)


def of_preset(name: str) -> Callable[[Entry], bool]:
    """Whether an entry is one of the ablations of a preset."""
    ablations = [(ablation.model, ablation.change) for ablation in PRESETS[name]()]
    return lambda entry: (entry.model, spelt(entry.variant)) in ablations


def held_back(strict: Board | None, reference: Board | None) -> Table | None:
    """Baselines as the public code has them, beside their default options and the published result."""
    if reference is None:
        return None
    rows = []
    last = ""
    for entry in filter(of_preset("baselines"), reference.variants):
        if entry.model != last and (default := reference.entry(entry.model)):
            rows.append(_held_back_row(default, strict, "defaults"))
        last = entry.model
        rows.append(_held_back_row(entry, strict, f"`{entry.title.removeprefix(f'{entry.model} ')}`"))
    header = ["model", "options", "`reference`", "`strict`", "published"]
    return Table("Baselines as the public code has them: AUC / LogLoss", header, rows) if rows else None


def _held_back_row(entry: Entry, strict: Board | None, options: str) -> list[Cell]:
    other = strict.entry(entry.model, **dict(entry.variant)) if strict else None
    shown = [auc_and_logloss(found) for found in (entry, other)]
    return [code(entry.model), Cell(options), *shown, published_cell(entry.setting.dataset, entry.model)]


def tuned(board: Board, found: Mapping[str, Tuned]) -> Table | None:
    """Models with tuned options beside their defaults, by the tuning files of the board's protocol."""
    rows = []
    for model, best in found.items():
        setting = board.setting
        entry = board.entry(model, **dict(best.variant(setting.dataset, setting.protocol, model)))
        default = board.entry(model)
        rows.append([
            code(model),
            Cell(f"{best.trials}", best.trials),
            Cell(f"{best.default_validation_auc:.4f}") if best.default_validation_auc else DASH,
            Cell(f"{best.validation_auc:.4f}", best.validation_auc),
            cell(default.spread("auc") if default else None),
            cell(entry.spread("auc") if entry else None),
            difference(entry.compare(default) if entry else None),
            Cell("`" + " ".join(f"{name}={value}" for name, value in best.options.items()) + "`"),
        ])  # fmt: skip
    header = [
        "model", "trials", "validation AUC, defaults", "validation AUC, tuned", "AUC, defaults", "AUC, tuned",
        "difference", "tuned options",
    ]  # fmt: skip
    return Table(heading(board), header, rows) if rows else None
