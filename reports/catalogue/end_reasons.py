"""The report `end-reasons`: why conferences ended, why visits left their queues, why legs were hung up."""

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from reports.catalogue import calls, conferences
from reports.catalogue.spec import ReportSpec
from reports.measures.definitions import ValueKind, digest
from reports.request.request import Request
from reports.source import Source
from reports.tables import (
    dimensions,
    facts,
    notes,
)
from reports.tables.assembly import assembled
from reports.tables.facts import FactMeasure, FactTable
from reports.tables.report import (
    Column,
    Report,
    Section,
)
from reports.tables.visits import period, timeless

_VISITS = FactTable(
    "queue_visits", "enqueued_at", {name: name for name in ("reason", "outcome", "wait_ms")}, by_queue=True
)
_MOMENTS = " union all ".join(each.moments for each in (_VISITS, conferences.FACTS, calls.FACTS))
_OF_VISITS: Mapping[str, Column] = {
    "reason": Column("reason", "Telnyx says", ValueKind.TEXT, 1),
    "outcome": Column("outcome", "Outcome", ValueKind.TEXT, 1),
}
VISITS = (
    FactMeasure("visits", "Visits", "sum", "outcome is not null", "visits that entered a queue", priority=1),
    FactMeasure("mean_wait_ms", "Mean wait", "mean", "wait_ms", "mean of wait_ms", ValueKind.DURATION, 2),
)
ENDED = (
    FactMeasure("conferences", "Conferences", "sum", "status = 'completed'", "conferences that have ended", priority=1),
    FactMeasure("mean_duration_ms", "Mean", "mean", "duration_ms", "mean of duration_ms", ValueKind.DURATION, 2),
    FactMeasure("total_duration_ms", "Total time", "sum", "duration_ms", "sum of duration_ms", ValueKind.DURATION, 3),
)
LEGS = (
    FactMeasure("calls", "Legs", "sum", "status = 'ended'", "legs that have ended", priority=1),
    FactMeasure("mean_talk_ms", "Mean talk", "mean", "talk_ms", "mean of talk_ms", ValueKind.DURATION, 2),
)
MEASURE_DEFINITIONS = digest(VISITS, ENDED, LEGS)


def report(source: Source, request: Request) -> Report:
    """Return the report. Where nothing ended it has no rows and a note that says so. Raises RequestError.

    An interval and `--by` split the reasons further.
    """
    basis, covered = source.basis(), period(source, request, _MOMENTS)
    by = dimensions.chosen(request, covered, own={}, report="end-reasons", at="at")
    spine = None if covered is None or request.interval is None else covered.spine(request, request.interval)
    if not by and request.interval is not None:
        by = [dimensions.calendar("interval", request, covered, "at")]
    ended = conferences.FACTS.read(source, request, covered).filter(pl.sql_expr("status = 'completed'"))
    visits = _VISITS.read(source, request, covered)
    legs = calls.FACTS.read(source, request, covered).filter(pl.sql_expr("status = 'ended'"))
    completed = [dimensions.of_column(conferences.OWN[name]) for name in ("end_reason", "end_reason_source")]
    hung_up = [dimensions.of_column(calls.OWN[name]) for name in ("hangup_cause", "hangup_source")]
    left = [dimensions.of_column(column) for column in _OF_VISITS.values()]
    sections = [
        _shared(facts.grouped("conferences", ended, ENDED, [*by, *completed], "Why conferences ended")),
        _shared(facts.grouped("visits", visits, VISITS, [*by, *left], "Why visits left their queues")),
        _shared(facts.grouped("calls", legs, LEGS, [*by, *hung_up], "Why legs were hung up")),
    ]
    return assembled(
        name="end-reasons",
        title="Why things ended",
        what="conferences, visits or calls",
        request=request,
        basis=basis,
        covered=covered,
        spine=spine,
        sections=sections,
        main="conferences",
        definition={"attribution": "by creation, enqueueing and initiation, in half-open intervals"},
        said=[
            "Telnyx's REST API alone knows `ended_via_api`; where both tell a reason, `Told by` names whose it is.",
            "The reason of a visit is Telnyx's word, its outcome is what follows from all that was heard.",
            *notes.timeless(timeless(source, request)),
        ],
        measures=MEASURE_DEFINITIONS,
    )


def _shared(section: Section) -> Section:
    """Return the section with the share of all its first count, the most usual reasons of a group first."""
    count = next(column for column in section.columns if column.kind is ValueKind.COUNT)
    share = Column("share", "Share", ValueKind.RATE, 1, f"{count.name} / all {count.name}")
    frame = section.frame.with_columns(share=pl.col(count.name) / pl.col(count.name).sum())
    before = section.columns.index(count) + 1
    columns = (*section.columns[:before], share, *section.columns[before:])
    keys = [column.name for column in section.columns[: before - 3]]
    ordered = frame.sort(*keys, count.name, descending=[*(False for _ in keys), True], maintain_order=True)
    return replace(section, columns=columns, frame=ordered)


SPEC = ReportSpec(
    name="end-reasons",
    summary="why conferences ended, visits left their queues and legs were hung up",
    run=report,
)
