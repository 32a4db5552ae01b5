"""Spark's SQL where Ibis 12.0 has none that does the same as on DuckDB."""

from __future__ import annotations

import re
from typing import Any

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import sqlglot as sg
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.pyspark import PySparkCompiler


class Compiler(PySparkCompiler):
    """Ibis's compiler for Spark, which also collects values in an order."""

    __slots__ = ()

    def visit_StringSplit(self, op: ops.StringSplit, *, arg: Any, delimiter: Any) -> Any:  # noqa: N802
        """Spark splits at a pattern."""
        if not isinstance(op.delimiter, ops.Literal):
            raise ValueError(f"only a literal delimiter. Received: {op}")
        return self.f.anon.split(arg, sge.convert(re.escape(op.delimiter.value)))

    def visit_StringFind(self, op: ops.StringFind, **parts: Any) -> Any:  # noqa: N802
        """Spark counts in 32 bits."""
        return self.cast(super().visit_StringFind(op, **parts), dt.int64)

    def visit_ArrayCollect(self, op: ops.ArrayCollect, *, arg: Any, where: Any, order_by: Any, **others: Any) -> Any:  # noqa: N802
        """Spark aggregates in no order, so the keys are collected with the values, and both are sorted after that."""
        if not order_by:
            return super().visit_ArrayCollect(op, arg=arg, where=where, order_by=order_by, **others)
        if any(key.args.get("desc") for key in order_by) or others["distinct"] or others["include_null"]:
            raise ValueError(f"only ascending keys, and values that are not null. Received: {op}")
        keys = [key.this.as_(f"key_{place}") for place, key in enumerate(order_by)]
        entries = self.f.anon.collect_list(self.f.anon.struct(*keys, arg.as_("value")))
        present = arg.is_(sg.not_(sge.Null()))
        entries = sge.Filter(this=entries, expression=sge.Where(this=sg.and_(present, where) if where else present))
        entry = sg.to_identifier("entry")
        value = sge.Lambda(this=sge.Dot(this=entry, expression=sg.to_identifier("value")), expressions=[entry])
        return self.f.anon.transform(self.f.anon.array_sort(entries), value)
