"""Which operations a model's embedding rows are trained by: compiled ones, or TensorFlow's."""

import tensorflow as tf

from models import PreRankingModel
from native.library import UnavailableError
from native.row_kernels import CompiledRows
from prerank.locks import Report


def choose(model: PreRankingModel, replicas: int, report: Report) -> None:
    """Give a model compiled operations where it can use them, and say which it has.

    What is trained is the same to the last bit. A model whose look-ups are not planned has no such operations.

    Args:
        model: not traced yet.
        replicas: how many replicas train it.
        report: takes the line.

    Raises:
        InputError: as for :func:`native.library.load`.
    """
    if model.plan_lookups() is None:
        return
    try:
        model.encoder.embedding.kernels = _compiled(replicas, report)
    except UnavailableError as error:
        report(f"embedding rows: TensorFlow's operations ({error})")
    else:
        report("embedding rows: compiled operations")


def used(model: PreRankingModel) -> str | None:
    """What a trained model's rows were trained by, for its record: `compiled`, `tensorflow`; None as for `choose`."""
    if model.plan_lookups() is None:
        return None
    return "tensorflow" if model.encoder.embedding.kernels is None else "compiled"


def _compiled(replicas: int, report: Report) -> CompiledRows:
    if replicas > 1:
        raise UnavailableError("the compiled ones are for one replica")
    if tf.config.get_visible_devices("GPU"):
        raise UnavailableError("the compiled ones are for a CPU")
    return CompiledRows(report)
