"""The report `queues`: what became of the visits to each queue, every outcome with its share."""

from reports.catalogue import evidence
from reports.catalogue.spec import ReportSpec
from reports.measures.definitions import digest
from reports.measures.measures import (
    AGGREGATES,
    MEAN_WAIT,
    OUTCOMES,
    SHARES,
    every_measure,
)
from reports.request.request import Request
from reports.source import Source
from reports.tables import (
    dimensions,
    policy_notes,
    visit_data,
    visit_tables,
)
from reports.tables.assembly import of_visits
from reports.tables.report import Column, Report

_SHOWN = ("offered", *OUTCOMES, "short_abandoned", "total_wait_ms", "longest_wait_ms")
MEASURE_DEFINITIONS = digest(every_measure(), SHARES, MEAN_WAIT)
_PRIORITIES = {"offered": 1, "answered": 1, "abandoned": 1, "timed_out": 3, "left": 3}
_HEADLINE = ("offered", "answered_share", "abandoned_share", "mean_wait_ms", "longest_wait_ms")


def columns() -> tuple[Column, ...]:
    """Return the outcomes, their shares and how long people waited in all."""
    of_name = {measure.name: measure for measure in AGGREGATES}
    counts = [Column.of(of_name[name], _PRIORITIES.get(name, 4)) for name in _SHOWN]
    shares = [Column.of(ratio, 2 if ratio.name in {"answered_share", "abandoned_share"} else 8) for ratio in SHARES]
    return (*counts[:-2], *shares, Column.of(MEAN_WAIT, 2), *counts[-2:])


def report(source: Source, request: Request) -> Report:
    """Return the report. Without visits it has zeros, nulls and a note that says so. Raises RequestError."""
    found = visit_data.read(source, request)
    made, shown = found.tables, columns()
    by = dimensions.chosen(request, found.covered, own=visit_tables.OWN, report="queues")
    sections = visit_data.sections(found, by, shown, (*SHARES, MEAN_WAIT))
    sections += policy_notes.sections(made)
    return of_visits(
        found,
        made.table([]).row(0, named=True),
        name="queues",
        title="Queues",
        sections=sections,
        shown=shown,
        headline=_HEADLINE,
        leading=False,
        measures=MEASURE_DEFINITIONS,
    )


SPEC = ReportSpec(
    name="queues",
    summary="what became of the visits to each queue, every outcome with its share",
    run=report,
    takes=frozenset({"hours", "explain"}),
    evidence=evidence.VISITS,
)
