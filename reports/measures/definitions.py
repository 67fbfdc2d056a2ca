"""The three ways to define a number over queue visits, as SQL text over named columns that polars reads, too.

They build on one another:

- an `Aggregate` (a count, a sum or a maximum) is taken over visits. Its text speaks of the columns `outcome` and
  `wait_ms`, and of `threshold_ms` and `short_abandon_ms` beside every visit, for each queue may have its own.
- a `Ratio` is over aggregates only, so that every roll-up recomputes it from counts and none averages it.
- a `Percentile` is nearest rank over the waits of visits; it cannot be rolled up, only taken anew.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Literal

import polars as pl


class ValueKind(StrEnum):
    """What sort of value a column holds; formats decide by it how to show the value."""

    COUNT = "count"
    RATE = "rate"
    DURATION = "duration"
    TIME = "time"
    DATE = "date"
    TEXT = "text"
    FLAG = "flag"
    NUMBER = "number"


UNITS = {
    ValueKind.COUNT: "1",
    ValueKind.RATE: "fraction",
    ValueKind.DURATION: "ms",
    ValueKind.TIME: "ISO 8601",
    ValueKind.DATE: "ISO 8601",
    ValueKind.TEXT: "",
    ValueKind.FLAG: "",
    ValueKind.NUMBER: "as the row says",
}


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A number taken over visits that rolls up by itself: counts and sums by adding, maxima by the greatest.

    `of` is SQL over a visit: a claim for a count, a value for a sum or a maximum. `meaning` says it in words.
    """

    name: str
    title: str
    how: Literal["count", "sum", "max"]
    of: str
    meaning: str
    kind: ValueKind = ValueKind.COUNT

    @property
    def formula(self) -> str:
        return self.meaning

    @property
    def sql(self) -> str:
        """Return the aggregate as DuckDB SQL over visits. Over nothing, counts and sums are 0 and a maximum is null."""
        match self.how:
            case "count":
                return f"count(*) filter (where {self.of})"
            case "sum":
                return f"coalesce(sum({self.of}), 0)::bigint"
            case "max":
                return f"max({self.of})"

    @property
    def expr(self) -> pl.Expr:
        """Return the polars expression over visits. Over nothing, counts and sums are 0 and a maximum is null."""
        of = pl.sql_expr(self.of)
        return (of.max() if self.how == "max" else of.sum()).cast(pl.Int64).alias(self.name)

    @property
    def rolled_up(self) -> pl.Expr:
        """Return the expression that makes one of many already taken."""
        taken = pl.col(self.name)
        return taken.max() if self.how == "max" else taken.sum()


@dataclass(frozen=True, slots=True)
class Ratio:
    """A number over aggregates: `numerator / denominator`, null where the denominator is 0."""

    name: str
    title: str
    numerator: str
    denominator: str
    kind: ValueKind = ValueKind.RATE

    @property
    def formula(self) -> str:
        """Return the definition with the names of the aggregates in it: `answered_within / (offered - waiting)`."""
        return f"{_bracketed(self.numerator)} / {_bracketed(self.denominator)}"

    @property
    def sql(self) -> str:
        """Return the ratio as SQL over aggregates, the same for DuckDB and for polars."""
        return f"({self.numerator}) / nullif({self.denominator}, 0)"

    @property
    def expr(self) -> pl.Expr:
        return pl.sql_expr(self.sql).alias(self.name)

    def worked(self, counts: Mapping[str, int]) -> str:
        """Return the formula with a row's numbers put in: `860 / (1060 - 0 - 10)`."""
        return re.sub(r"[a-z_]+", lambda name: str(counts[name.group()]), self.formula)


@dataclass(frozen=True, slots=True)
class Percentile:
    """The nearest-rank percentile of `wait_ms` over the visits for which `of` holds: the ceil(percent * n / 100)th."""

    name: str
    title: str
    percent: int
    of: str
    over: str
    kind: ValueKind = ValueKind.DURATION

    @property
    def formula(self) -> str:
        return f"nearest-rank {self.percent}th percentile of wait_ms over {self.over}"

    @property
    def sql(self) -> str:
        """Return the percentile as DuckDB SQL over visits."""
        return f"quantile_disc(wait_ms, {self.percent / 100}) filter (where {self.of})"


Measure = Aggregate | Ratio | Percentile


def digest(*definitions: object) -> str:
    """Return twelve hexadecimal digits over definitions, which are values: equal ones have equal digests.

    Definitions are texts, numbers, tuples and dataclasses of these. The names of classes and modules count for nothing.
    """
    return sha256(repr(_plain(definitions)).encode()).hexdigest()[:12]


def _plain(definition: object) -> object:
    match definition:
        case str():  # of an enum, its value
            return str(definition)
        case list() | tuple():
            return tuple(_plain(each) for each in definition)
        case _ if is_dataclass(definition):
            return tuple((field.name, _plain(getattr(definition, field.name))) for field in fields(definition))
        case _:
            return definition


def _bracketed(sum_: str) -> str:
    return f"({sum_})" if " " in sum_ else sum_
