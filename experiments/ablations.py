"""Series of runs that each change one thing about a model or a protocol."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from preprocess.options import LEAKS

Change = dict[str, str]
"""Options of the training script by name."""

HEADS = range(1, 7)


@dataclass(frozen=True)
class Ablation:
    """One run to be compared with the default one.

    Attributes:
        model: which model.
        change: the options that differ.
        protocol: the one protocol that it makes sense under, or any if None.
    """

    model: str
    change: Change
    protocol: str | None = None


def _leaks() -> list[Ablation]:
    """`reference` with one leak switched off at a time, and with all of them switched off."""
    kept = [",".join(leak for leak in LEAKS if leak != off) for off in LEAKS]
    models = ("dssm", "int_tower", "hit", "fit")
    return [Ablation(model, {"leak": leaks}, "reference") for model in models for leaks in [*kept, "none"]]


def _hit() -> list[Ablation]:
    """HIT less its generators, one kind of them, its several heads; other generation losses; as published."""
    changes: Sequence[Change] = (
        {"generation_loss": "none"},
        {"generators": "target"},
        {"generators": "non_target"},
        {"user_heads": "1", "item_heads": "1"},
        {"generation_loss": "none", "user_heads": "1", "item_heads": "1"},
        *({"generation_loss": loss} for loss in ("mse", "mae", "euclidean", "manhattan", "reference_cosine")),
        {"similarity": "dot", "hidden_units": "300,300,32"},
    )
    return [Ablation("hit", change) for change in changes]


def _fit() -> list[Ablation]:
    """FIT less its meta query module, and with simpler scorers; as published."""
    changes: Sequence[Change] = (
        {"without_mqm": "true"},
        *({"scorer": scorer} for scorer in ("dot", "sum_max", "fc")),
        {"without_mqm": "true", "scorer": "dot"},
        {"similarity": "dot", "hidden_units": "300,300,32"},
    )
    return [Ablation("fit", change) for change in changes]


def _heads() -> list[Ablation]:
    """HIT with 1 to 6 heads a side."""
    return [Ablation("hit", {"user_heads": str(count), "item_heads": str(count)}) for count in HEADS]


def _baselines() -> list[Ablation]:
    """Baselines as the public code holds them back.

    A cosine of scale 1, an inner product; augmented vectors that nothing draws to the other side, which is as near as
    can be to the public code's random numbers.
    """
    cosine = [Ablation(model, {"similarity": "cosine"}) for model in ("dssm", "dat", "mvke")]
    no_mimic = {"user_mimic_weight": "0.0", "item_mimic_weight": "0.0", "category_weight": "0.0"}
    return [
        *cosine,
        Ablation("poly_encoder", {"similarity": "dot"}),
        Ablation("dat", no_mimic),
        Ablation("dat", {"similarity": "cosine", **no_mimic}),
    ]


PRESETS: dict[str, Callable[[], list[Ablation]]] = {
    "leaks": _leaks,
    "hit": _hit,
    "fit": _fit,
    "heads": _heads,
    "baselines": _baselines,
}


def ablations(presets: Sequence[str]) -> list[Ablation]:
    """The ablations of some presets, each once."""
    found: list[Ablation] = []
    for name in presets:
        found += [ablation for ablation in PRESETS[name]() if ablation not in found]
    return found
