"""The report `recordings`: how many, how long, of what, in which form."""

from reports.catalogue.spec import ReportSpec
from reports.measures.definitions import ValueKind, digest
from reports.request.request import Request
from reports.source import Source
from reports.tables import dimensions, facts
from reports.tables.assembly import assembled
from reports.tables.facts import FactMeasure, FactTable
from reports.tables.report import (
    Column,
    Report,
    Section,
)

_COLUMNS = ("kind", "duration_ms", "channels", "format")
FACTS = FactTable("recordings", "started_at", {name: name for name in _COLUMNS})
OWN = {
    "kind": Column("kind", "Of a", ValueKind.TEXT, 1),
    "channels": Column("channels", "Channels", ValueKind.TEXT, 1),
    "format": Column("format", "Format", ValueKind.TEXT, 1),
}
_DURATION = ValueKind.DURATION
MEASURES = (
    FactMeasure("recordings", "Recordings", "sum", "kind is not null", "recordings begun", priority=1),
    FactMeasure(
        "without_duration", "Length unknown", "sum", "duration_ms is null", "recordings of unknown length", priority=4
    ),
    FactMeasure("total_duration_ms", "Total time", "sum", "duration_ms", "sum of duration_ms", _DURATION, 1),
    FactMeasure("mean_duration_ms", "Mean", "mean", "duration_ms", "mean of duration_ms", _DURATION, 2),
    FactMeasure("median_duration_ms", "Median", "median", "duration_ms", "nearest-rank median", _DURATION, 3),
    FactMeasure("longest_duration_ms", "Longest", "max", "duration_ms", "greatest duration_ms", _DURATION, 2),
)
MEASURE_DEFINITIONS = digest(MEASURES)


def report(source: Source, request: Request) -> Report:
    """Return the report. Without recordings it has zeros, nulls and a note that says so. Raises RequestError."""
    basis, covered = source.basis(), FACTS.period(source, request)
    by = dimensions.chosen(request, covered, own=OWN, report="recordings", at="at")
    spine = None if covered is None or request.interval is None else covered.spine(request, request.interval)
    read = FACTS.read(source, request, covered)
    columns = tuple(measure.column for measure in MEASURES)
    total = facts.measured(read, MEASURES).collect()
    forms = [dimensions.of_column(column) for column in OWN.values()]
    sections = [
        Section("recordings", "Recordings", columns, total),
        facts.grouped("forms", read, MEASURES, forms, "By what was recorded, channels and format"),
        *facts.over_time(read, MEASURES, request, spine),
    ]
    if by:
        sections.append(facts.grouped("by", read, MEASURES, by))
    timeless = FACTS.timeless(source)
    return assembled(
        name="recordings",
        title="Recordings",
        what="recordings",
        request=request,
        basis=basis,
        covered=covered,
        spine=spine,
        sections=sections,
        main="by" if by else "forms" if spine is None else "intervals",
        headline=columns,
        definition={"attribution": "a recording belongs to the half-open interval in which it began"},
        said=[
            "A recording counts in the interval in which it began; those of unknown length are in no time.",
            *(["A recording belongs to a queue where its session visited it."] if request.queues else []),
            *([f"{timeless} more recordings have no known beginning."] if timeless else []),
        ],
        measures=MEASURE_DEFINITIONS,
    )


SPEC = ReportSpec(
    name="recordings",
    summary="how many, how long, of what, in which form",
    run=report,
)
