"""The compiled operations on embedding rows, as :class:`layers.lookup_plan.RowKernels` has them."""

from collections.abc import Mapping

import tensorflow as tf

from layers.lookup_plan import (
    DISTINCT,
    ELEMENTS,
    SLOT_COUNT,
    SLOTS,
    SORTED_ROWS,
    SORTED_SLOTS,
    AdamConstants,
)
from native import library
from prerank.locks import Report


class CompiledRows:
    """Pools rows straight from a table, and sums their gradients and applies lazy Adam in one pass.

    Args:
        report: as for :func:`native.library.load`.

    Raises:
        UnavailableError: the operations cannot be had.
    """

    def __init__(self, report: Report = print):
        self._operations = library.load(report)

    def pool(self, table: tf.Variable, plan: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """As the protocol says."""
        return self._operations.prerank_pool_rows(
            table=table.handle,
            distinct=plan[DISTINCT],
            elements=plan[ELEMENTS],
            slots=plan[SLOTS],
            slot_count=plan[SLOT_COUNT],
        )

    def lazy_adam(
        self,
        table: tf.Variable,
        moments: tuple[tf.Variable, tf.Variable],
        gradient: tf.Tensor,
        plan: Mapping[str, tf.Tensor],
        rate: tf.Tensor,
        constants: AdamConstants,
    ) -> None:
        """As the protocol says."""
        self._operations.prerank_lazy_adam(
            table=table.handle,
            first=moments[0].handle,
            second=moments[1].handle,
            gradient=gradient,
            distinct=plan[DISTINCT],
            sorted_rows=plan[SORTED_ROWS],
            sorted_slots=plan[SORTED_SLOTS],
            rate=rate,
            beta_1=constants.beta_1,
            rest_1=1 - constants.beta_1,
            beta_2=constants.beta_2,
            rest_2=1 - constants.beta_2,
            epsilon=constants.epsilon,
            l2=2 * constants.embedding_l2,
        )
