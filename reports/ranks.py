"""Percentiles of many groups and several populations at once.

Group, value and the populations that a row is in become one whole number, so that one sort of plain integers puts the
values of every population of every group in order: several times faster than sorting a list for each group.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, slots=True)
class Wanted:
    """A nearest-rank percentile under a name: the ceil(percent * n / 100)th of the rows whose column `of` is true."""

    name: str
    percent: int
    of: str


@dataclass(frozen=True, slots=True)
class _Digit:
    """A column as whole numbers from 0 up to, not including, `base`. Null is the greatest."""

    column: pl.Series
    low: int
    base: int

    @classmethod
    def of(cls, column: pl.Series) -> "_Digit":
        codes = column.to_physical()
        low, high = codes.min(), codes.max()
        if not isinstance(low, int) or not isinstance(high, int):  # nothing, or nothing but nulls
            low = high = 0
        return cls(column, low, high - low + 2)

    @property
    def expr(self) -> pl.Expr:
        return (pl.col(self.column.name).to_physical().cast(pl.Int64) - self.low).fill_null(self.base - 1)

    def named(self, numbers: pl.DataFrame, by: pl.Expr) -> pl.Series:
        """Return the values that numbers stand for."""
        values = self.column.unique().to_frame().with_columns(self.expr.alias("number"))
        asked = numbers.select(by.cast(pl.Int64).alias("number"))
        return asked.join(values, on="number", how="left", maintain_order="left")[self.column.name]


def percentiles(rows: pl.DataFrame, by: Sequence[str], value: str, wanted: Sequence[Wanted]) -> pl.DataFrame:
    """Return the percentiles of the whole-number column `value`, which has no nulls, one row a group that occurs.

    Groups come in no order; those in which a population is empty have nulls. Texts in `by` must be categorical.
    """
    groups, values = [_Digit.of(rows[name]) for name in by], _Digit.of(rows[value])
    populations = list(dict.fromkeys(one.of for one in wanted))
    size = 2 ** len(populations) * values.base
    for group in groups:
        size *= group.base
    packed = pl.lit(0, dtype=pl.Int64 if size < 2**63 else pl.Int128)
    for digit in (*groups, values):
        packed = packed * digit.base + digit.expr
    for of in populations:
        packed = packed * 2 + pl.col(of).cast(pl.Int64)
    ordered = rows.select(packed.alias("number").sort())
    found: pl.DataFrame | None = None
    for bit, of in enumerate(reversed(populations)):
        number = pl.col("number")
        taken = ordered.filter(number // 2**bit % 2 == 1).select(number // 2 ** len(populations))
        ranked = _ranked(taken, values, [one for one in wanted if one.of == of])
        found = ranked if found is None else found.join(ranked, on="group", how="full", coalesce=True)
    assert found is not None  # noqa: S101 -- for the type checker: something is wanted
    columns: list[pl.Series] = []
    of_group = pl.col("group")
    for group in reversed(groups):
        columns.insert(0, group.named(found, of_group % group.base))
        of_group = of_group // group.base
    return pl.DataFrame([*columns, *found.select(one.name for one in wanted)])


def _ranked(ordered: pl.DataFrame, values: _Digit, wanted: Sequence[Wanted]) -> pl.DataFrame:
    """Return `group` and each percentile, from numbers in order that hold a group and a value."""
    number, length = pl.col("number"), pl.col("len").cast(pl.Int64)
    runs = ordered.select((number // values.base).rle()).unnest("number")
    found = {"group": runs["value"]}
    for one in wanted:
        # ceil(percent * n / 100) in whole numbers: 0.07 * 100 is not 7 in floating point.
        rank = runs.select(length.cum_sum() - length + (length * one.percent + 99) // 100 - 1).to_series()
        at_rank = ordered[rank].select((number % values.base).cast(pl.Int64) + values.low)
        found[one.name] = at_rank.to_series()
    return pl.DataFrame(found)
