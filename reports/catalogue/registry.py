"""The reports there are. A new report is a module that ends in a `SPEC`, and its line in `_SPECS` with the import."""

from collections.abc import Mapping
from dataclasses import replace

from reports.catalogue import (
    abandonment,
    by_interval,
    calls,
    compare,
    completeness,
    conferences,
    depth,
    end_reasons,
    heatmap,
    participants,
    queues,
    recordings,
    sla,
    staffing,
    waits,
)
from reports.catalogue.evidence import Evidence
from reports.catalogue.spec import ReportSpec
from reports.errors import RequestError
from reports.request import queue_names
from reports.request.request import Request
from reports.source import Source
from reports.tables.report import Report
from reports.tables.visits import Period

_SPECS = (
    sla.SPEC,
    queues.SPEC,
    abandonment.SPEC,
    waits.SPEC,
    by_interval.SPEC,
    heatmap.SPEC,
    depth.SPEC,
    compare.SPEC,
    staffing.SPEC,
    conferences.SPEC,
    participants.SPEC,
    end_reasons.SPEC,
    recordings.SPEC,
    calls.SPEC,
    completeness.SPEC,
)

REPORTS: Mapping[str, ReportSpec] = {spec.name: spec for spec in _SPECS}
"""Every report by its name, in the order in which they are listed."""

OPTIONS = ("hours", "explain", "agents")
"""Options that only some reports take; the others refuse them, for to leave one out would answer something else."""


def require(name: str) -> ReportSpec:
    """Return the report of that name. Raises RequestError when there is none."""
    if name not in REPORTS:
        raise RequestError(f"report {name!r} is not known: expected one of {', '.join(REPORTS)}")
    return REPORTS[name]


def evidence_of(name: str) -> Evidence:
    """Return what the figures of a report are traced to. Raises RequestError where they rest on several tables."""
    evidence = require(name).evidence
    if evidence is None:
        comparable = ", ".join(spec.name for spec in _SPECS if spec.evidence is not None)
        raise RequestError(f"what changed in the report {name} cannot be told by events: expected one of {comparable}")
    return evidence


def run(name: str, source: Source, request: Request) -> Report:
    """Return the report of that name. Raises RequestError when there is none, or when the request cannot be met."""
    spec = require(name)
    for option in OPTIONS:
        if getattr(request, option) and option not in spec.takes:
            takers = ", ".join(each.name for each in _SPECS if option in each.takes)
            raise RequestError(f"the report {name} takes no --{option}: expected one of {takers}")
    report = spec.run(source, request)
    asked = queue_names.unheard(source, request.queues)
    # A report that uses the definitions of queues says so in its own definition.
    uses_policies = "service_level_variant" in report.definition
    said = queue_names.notes(asked, queue_names.unused(source, request) if uses_policies else None)
    return replace(report, notes=(*said, *report.notes), unheard=asked.names if asked else ())


def completeness_of(source: Source, report: Report) -> float | None:
    """Return the share of the events that must have been sent in a report's period that is known.

    Of a report on visits these are their enqueues and dequeues; of another one, all events of the period's days in UTC.
    None where none must have been sent.
    """
    if report.completeness is not None or report.from_ is None or report.to is None:
        return report.completeness
    return completeness.of_days(source, Period(report.from_, report.to), report.request.queues)
