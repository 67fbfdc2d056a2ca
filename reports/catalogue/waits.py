"""The report `waits`: how long people waited, as percentiles and as a distribution, by queue and by outcome."""

import polars as pl

from reports.catalogue import evidence, sla
from reports.catalogue.spec import ReportSpec
from reports.measures.definitions import ValueKind, digest
from reports.measures.measures import (
    AGGREGATES,
    MEAN_WAIT,
    MEANS,
    PERCENTILES,
    WAIT_EDGES_SECS,
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
from reports.tables.report import (
    Column,
    Report,
    Section,
)

MEASURE_DEFINITIONS = digest(every_measure(), MEAN_WAIT, WAIT_EDGES_SECS)
_HEADLINE = ("offered", "mean_wait_ms", "wait_p50_ms", "wait_p90_ms", "longest_wait_ms")
_COUNTS = {"offered": 1, "waits": 5, "longest_wait_ms": 1}
_SHARE = (
    Column("share", "Share", ValueKind.RATE, 2, "visits / all visits whose wait is known"),
    Column("cumulative_share", "Up to here", ValueKind.RATE, 2, "share of those that waited less than the upper edge"),
)


def columns() -> tuple[Column, ...]:
    """Return the counts, means and percentiles of waits."""
    counts = [Column.of(measure, _COUNTS[measure.name]) for measure in AGGREGATES if measure.name in _COUNTS]
    means = [Column.of(MEAN_WAIT, 1), *(Column.of(mean, 3) for mean in MEANS)]
    percentiles = [Column.of(each, 4 if "answered" in each.name else 2) for each in PERCENTILES]
    return (*counts[:-1], *means, *percentiles, counts[-1])


def report(source: Source, request: Request) -> Report:
    """Return the report. Without visits it has zeros, nulls and a note that says so. Raises RequestError."""
    found = visit_data.read(source, request)
    made, shown = found.tables, columns()
    by = dimensions.chosen(request, found.covered, own=visit_tables.OWN, report="waits")
    sections = visit_data.sections(found, by, shown, [MEAN_WAIT])
    sections += [_with_shares(section) for section in sla.distributions(found.visits)]
    sections += policy_notes.sections(made)
    return of_visits(
        found,
        made.table([]).row(0, named=True),
        name="waits",
        title="Waits",
        sections=sections,
        shown=shown,
        headline=_HEADLINE,
        leading=False,
        measures=MEASURE_DEFINITIONS,
        charts=("waits",),
    )


def _with_shares(section: Section) -> Section:
    """Return a distribution with the share of each length of wait, alone and with all that are shorter."""
    keys = [column.name for column in section.columns if column.name == "queue"]
    visits = pl.col("visits")
    whole = visits.sum().over(keys) if keys else visits.sum()
    so_far = visits.cum_sum().over(keys) if keys else visits.cum_sum()
    frame = section.frame.with_columns(
        # Where nobody waited there is no share.
        share=pl.when(whole > 0).then(visits / whole),
        cumulative_share=pl.when(whole > 0).then(so_far / whole),
    )
    at = len(keys) + 2
    columns_ = (*section.columns[:at], *_SHARE, *section.columns[at:])
    return Section(section.name, section.title, columns_, frame)


SPEC = ReportSpec(
    name="waits",
    summary="how long people waited: percentiles and distribution, by queue and outcome",
    run=report,
    takes=frozenset({"hours", "explain"}),
    evidence=evidence.VISITS,
)
