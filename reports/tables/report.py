"""A report as a value: tables with named, typed columns, and all that a reader needs to trust them."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import polars as pl

from reports.basis import Basis
from reports.errors import RequestError
from reports.measures.definitions import (
    UNITS,
    Measure,
    ValueKind,
)
from reports.request.request import Request, Setting


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. `priority` 1 is kept on the narrowest screen; the greatest goes first. 9 is for machines.

    `figures` says that its texts are numbers in words, which stand at the right.
    """

    name: str
    title: str
    kind: ValueKind
    priority: int = 5
    formula: str | None = None
    figures: bool = False

    @property
    def is_numeric(self) -> bool:
        return self.figures or self.kind in {ValueKind.COUNT, ValueKind.RATE, ValueKind.DURATION, ValueKind.NUMBER}

    @property
    def unit(self) -> str:
        return UNITS[self.kind]

    @classmethod
    def of(cls, measure: Measure, priority: int = 9) -> "Column":
        return cls(measure.name, measure.title, measure.kind, priority, measure.formula)


@dataclass(frozen=True, slots=True)
class Section:
    """A table: `frame` has the columns named in `columns`, times as UTC; `totals` is one more such row, or None.

    `aside` marks a table that stands behind a chart and would only repeat another one in print. `sparse` names a count:
    a format for people may leave out the rows in which it is 0. Of a list that may be long, `listed` is how many rows,
    the most telling first, are enough for a terminal.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    frame: pl.DataFrame
    totals: pl.DataFrame | None = None
    aside: bool = False
    sparse: str | None = None
    listed: int | None = None

    def picked(self, names: Collection[str]) -> list[Column]:
        """Return the columns of those names, in the order of the table."""
        return [column for column in self.columns if column.name in names]

    def rows(self) -> Iterator[Mapping[str, Any]]:
        return self.frame.select(column.name for column in self.columns).iter_rows(named=True)

    def total_row(self) -> Mapping[str, Any] | None:
        if self.totals is None:
            return None
        return self.totals.select(column.name for column in self.columns).row(0, named=True)


@dataclass(frozen=True, slots=True)
class Report:
    """A finished report. `main` names the section that a format with room for one table (CSV) writes.

    `from_` and `to` are the period in UTC, `to` exclusive; both None when there is nothing to report on. `definition`
    holds what was decided (threshold, variant, formula and so on), by name; `configuration` what was configured, and
    where; `completeness` how much is known of what its visits prove to have been sent, where it is about visits;
    `measure_definitions` is a digest of the measures' definitions; `notes` are sentences for a reader; `unheard` are
    queues that were asked for and that nothing names.
    """

    name: str
    title: str
    request: Request
    from_: datetime | None
    to: datetime | None
    sections: tuple[Section, ...]
    main: str
    headline: tuple[Column, ...]
    definition: Mapping[str, str | float | int]
    notes: tuple[str, ...]
    basis: Basis
    configuration: tuple[Setting, ...]
    measure_definitions: str
    charts: tuple[str, ...] = ()
    completeness: float | None = None
    unheard: tuple[str, ...] = ()

    def section(self, name: str) -> Section:
        """Return the section of that name. Raises KeyError when the report has none."""
        for section in self.sections:
            if section.name == name:
                return section
        raise KeyError(name)

    def summary(self) -> Mapping[str, Any] | None:
        """Return the row that the headline is about: that of all there is."""
        names = {column.name for column in self.headline}
        for section in self.sections:
            row = section.total_row() or (next(section.rows()) if section.frame.height == 1 else None)
            if row is not None and names <= row.keys():
                return row
        return None

    def led_by(self, name: str) -> "Report":
        """Return the report with another main section. Raises RequestError when it has none of that name."""
        if name not in {section.name for section in self.sections}:
            names = ", ".join(section.name for section in self.sections)
            raise RequestError(f"section {name!r} is not one of the report {self.name}: expected one of {names}")
        return replace(self, main=name)
