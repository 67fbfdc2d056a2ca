"""What a report on queue visits begins with: the visits of its period, and the tables that are made of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from reports.basis import Basis
from reports.measures.definitions import Ratio
from reports.request import scope
from reports.request.request import Request
from reports.source import Source
from reports.tables import dimensions
from reports.tables import visits as visits_
from reports.tables.dimensions import Dimension, interval_columns
from reports.tables.report import Column, Section
from reports.tables.visit_tables import MOMENT, QUEUE, Tables, tables
from reports.tables.visits import Period, Visits


@dataclass(frozen=True, slots=True)
class VisitData:
    """What a report on visits rests on, the period that it covers (None without facts), its visits and their tables."""

    basis: Basis
    covered: Period | None
    visits: Visits
    tables: Tables


def read(source: Source, request: Request) -> VisitData:
    """Read the visits that a request is about, and cut its period into the intervals that it names."""
    covered = visits_.period(source, request)
    spine = None if covered is None or request.interval is None else covered.spine(request, request.interval)
    visits = visits_.read(source, request, covered)
    return VisitData(source.basis(), covered, visits, tables(visits.frame, request, covered, spine))


def sections(
    found: VisitData, by: Sequence[Dimension], shown: Sequence[Column], more: Sequence[Ratio] = ()
) -> list[Section]:
    """Return the tables that a report on visits has, its main one first: by what was asked, by queue, by both.

    `more` are ratios that every row gets beside the usual measures.
    """
    made, length = found.tables, found.tables.request.interval
    since = [column for column in made.keys(["queue"]) if column.name == "since"]
    ratios = [ratio.expr for ratio in more]
    whole = pl.lit(scope.whole(made.request))
    total = made.table([]).with_columns(*ratios, queue=whole, since=pl.lit(None, dtype=MOMENT))
    queues = made.table(["queue"]).with_columns(ratios)
    result = [Section("queues", "By queue", (QUEUE, *since, *shown), queues, total)]
    if made.spine is not None and length is not None:
        columns = (QUEUE, *interval_columns(length, made.spine, made.request.zone), *since, *shown)
        frame = made.table(["queue", "interval"]).with_columns(ratios)
        result.insert(0, Section("queue_intervals", f"By queue and {length.noun}", columns, frame, sparse="offered"))
    if by:
        columns = (*(each.column for each in by), *shown)
        result.insert(0, Section("by", dimensions.title(by), columns, made.grouped(by).with_columns(ratios)))
    return result
