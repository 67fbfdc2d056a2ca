"""The report `queues`: what became of the visits to each queue, every outcome with its share."""

from reports import agreed, dimensions, sla, visit_notes, visit_tables
from reports.assembly import assembled
from reports.definitions import digest
from reports.measures import AGGREGATES, MEAN_WAIT, OUTCOMES, SHARES, every_measure
from reports.report import Column, Report
from reports.request import Request
from reports.source import Source
from reports.visit_tables import reading

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
    found = reading(source, request)
    made, shown = found.tables, columns()
    by = dimensions.chosen(request, found.covered, own=sla.OWN, report="queues")
    total = made.table([])
    sections = visit_tables.sections(found, by, shown, (*SHARES, MEAN_WAIT))
    sections += agreed.sections(made)
    return assembled(
        name="queues",
        title="Queues",
        what="visits",
        request=request,
        told=made.told,
        basis=found.basis,
        covered=found.covered,
        spine=made.spine,
        sections=sections,
        main=sections[0].name,
        headline=[column for name in _HEADLINE for column in shown if column.name == name],
        definition=visit_notes.definition(made),
        said=visit_notes.notes(made, found.visits, total.row(0, named=True), leading=False),
        settings=sla.SETTINGS,
        measures=MEASURE_DEFINITIONS,
    )
