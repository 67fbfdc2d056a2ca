"""Percentiles of many groups and several populations at once.

Group, value and the populations that a row is in become one whole number, so that one sort of plain integers puts the
values of every population of every group in order: several times faster than sorting a list for each group.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, slots=True)
class Wanted:
    """A nearest-rank percentile under a name: the ceil(percent * n / 100)th of the rows whose column `of` is true.

    Of all rows where `of` is None.
    """

    name: str
    percent: int
    of: str | None = None


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

    def named(self, number: pl.Expr) -> pl.Expr:
        """Return the values that numbers stand for."""
        code = pl.when(number < self.base - 1).then(number + self.low).cast(self.column.to_physical().dtype)
        is_text = isinstance(self.column.dtype, (pl.Categorical, pl.Enum))
        return (code.cat.to(self.column.dtype) if is_text else code).alias(self.column.name)


@dataclass(frozen=True, slots=True)
class Ordered:
    """Rows in order of group and value. `populations` holds, for each that was asked for, its rows' numbers in order:
    a number is the group's times `values.base`, plus the value's.
    """

    groups: tuple[_Digit, ...]
    values: _Digit
    populations: dict[str | None, pl.Series]

    def apart(self, wanted: Sequence[Wanted]) -> pl.DataFrame:
        """Return the percentiles of each group that occurs, one row each, in no order; null where nobody is in it."""
        found: pl.DataFrame | None = None
        for of, numbers in self.populations.items():
            ranked = self._ranked(numbers, [one for one in wanted if one.of == of])
            found = ranked if found is None else found.join(ranked, on="group", how="full", coalesce=True)
        assert found is not None  # noqa: S101 -- for the type checker: something is wanted
        columns: list[pl.Expr] = []
        of_group = pl.col("group")
        for group in reversed(self.groups):
            columns.insert(0, group.named(of_group % group.base))
            of_group = of_group // group.base
        return found.select(*columns, *(one.name for one in wanted))

    def together(self, wanted: Sequence[Wanted]) -> pl.DataFrame:
        """Return the percentiles of all groups as one, in one row, without sorting the values anew."""
        found: dict[str, int | None] = {}
        for of, numbers in self.populations.items():
            firsts = self._runs(numbers).select(pl.col("value") * self.values.base)
            found |= {one.name: self._of_all(numbers, firsts, one.percent) for one in wanted if one.of == of}
        return pl.DataFrame([found], schema={one.name: pl.Int64 for one in wanted})

    def _runs(self, numbers: pl.Series) -> pl.DataFrame:
        """Return each group that occurs as `value`, and how many rows it has as `len`."""
        return numbers.to_frame("number").select((pl.col("number") // self.values.base).rle()).unnest("number")

    def _ranked(self, numbers: pl.Series, wanted: Sequence[Wanted]) -> pl.DataFrame:
        """Return `group` and each percentile."""
        runs = self._runs(numbers)
        length = pl.col("len").cast(pl.Int64)
        found = {"group": runs["value"]}
        for one in wanted:
            # ceil(percent * n / 100) in whole numbers: 0.07 * 100 is not 7 in floating point.
            rank = runs.select(length.cum_sum() - length + (length * one.percent + 99) // 100 - 1).to_series()
            at_rank = numbers.gather(rank).to_frame("number")
            found[one.name] = at_rank.select((pl.col("number") % self.values.base).cast(pl.Int64)).to_series()
        return pl.DataFrame(found).with_columns(pl.exclude("group") + self.values.low)

    def _of_all(self, numbers: pl.Series, firsts: pl.DataFrame, percent: int) -> int | None:
        """Return the least value that enough rows do not exceed, found by halving what lies in between.

        `firsts` are the least numbers that each group could have, as `value`. Every group is in order, so how many of
        its rows do not exceed a value is where that value would stand in it.
        """
        if numbers.is_empty():
            return None
        rank = (numbers.len() * percent + 99) // 100
        before = int(numbers.search_sorted(firsts.to_series(), side="left").sum())
        low, high = 0, self.values.base - 1
        while low < high:
            middle = (low + high) // 2
            up_to = firsts.select(pl.col("value") + middle).to_series()
            if int(numbers.search_sorted(up_to, side="right").sum()) - before >= rank:
                high = middle
            else:
                low = middle + 1
        return low + self.values.low


def ordered(rows: pl.DataFrame, by: Sequence[str], value: str, populations: Sequence[str | None]) -> Ordered:
    """Put rows in order of group and of the whole-number column `value`, which has no nulls.

    `populations` are columns that say who is in one, or None for all rows. Texts in `by` must be categorical.
    """
    groups, values = tuple(_Digit.of(rows[name]) for name in by), _Digit.of(rows[value])
    flags = [of for of in populations if of is not None]
    size = 2 ** len(flags) * values.base
    for group in groups:
        size *= group.base
    packed = pl.lit(0, dtype=pl.Int64 if size < 2**63 else pl.Int128)
    for digit in (*groups, values):
        packed = packed * digit.base + digit.expr
    for of in flags:
        packed = packed * 2 + pl.col(of).cast(pl.Int64)
    every = rows.select(packed.alias("number").sort())
    number = pl.col("number")
    is_in = {of: number // 2**bit % 2 == 1 for bit, of in enumerate(reversed(flags))}
    found = {
        of: (every if of is None else every.filter(is_in[of])).select(number // 2 ** len(flags)).to_series()
        for of in populations
    }
    return Ordered(groups, values, found)
