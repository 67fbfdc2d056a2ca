"""The reports there are, and the facts they rest on. A new report is one new file and its lines here."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from reports.catalogue import (
    abandonment,
    behind,
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
from reports.catalogue.behind import Behind
from reports.errors import RequestError
from reports.request import queue_names
from reports.request.request import Request
from reports.source import Source
from reports.tables.report import Report
from reports.tables.visits import Period

REPORTS: Mapping[str, Callable[[Source, Request], Report]] = {
    "sla": sla.report,
    "queues": queues.report,
    "abandonment": abandonment.report,
    "waits": waits.report,
    "intervals": by_interval.report,
    "heatmap": heatmap.report,
    "depth": depth.report,
    "compare": compare.report,
    "staffing": staffing.report,
    "conferences": conferences.report,
    "participants": participants.report,
    "end-reasons": end_reasons.report,
    "recordings": recordings.report,
    "calls": calls.report,
    "completeness": completeness.report,
}
# Those in which `report diff` can tell what changed: on facts of one table, by queue and interval or as a whole.
RESTS_ON: Mapping[str, Behind] = {
    **dict.fromkeys(("sla", "queues", "abandonment", "waits"), behind.VISITS),
    "conferences": behind.CONFERENCES,
}


SUMMARIES: Mapping[str, str] = {
    "sla": "service level, abandonment and waits, by queue and interval, in every variant",
    "queues": "what became of the visits to each queue, every outcome with its share",
    "abandonment": "how many gave up, after how long, and whom to call back",
    "waits": "how long people waited: percentiles and distribution, by queue and outcome",
    "intervals": "visits over time: when they began, what happened when, who was waiting when",
    "heatmap": "weekday by hour: visits, service level, speed of answer",
    "depth": "queue length over time, its peak, and who had waited longest",
    "compare": "this period against the one before, and week over week",
    "staffing": "load, what Erlang C and A predict against what was measured, agents needed",
    "conferences": "how many, how long, how they ended and how full they were",
    "participants": "who was in which conference, how long, rejoins, share of the floor",
    "end-reasons": "why conferences ended, visits left their queues and legs were hung up",
    "recordings": "how many, how long, of what, in which form",
    "calls": "legs: ring, talk, hold, hangup causes, cost",
    "completeness": "what was heard, found, is missing and contradicts itself, by day",
}


# Options that only some reports know what to do with; another one refuses them rather than leave them out.
_ON_VISITS = frozenset({"sla", "queues", "abandonment", "waits"})
_TAKEN_BY: Mapping[str, frozenset[str]] = {
    "hours": _ON_VISITS | {"heatmap", "compare"},
    "explain": _ON_VISITS,
    "agents": frozenset({"staffing"}),
}


def require(name: str) -> None:
    """Raise RequestError when there is no report of that name."""
    if name not in REPORTS:
        raise RequestError(f"report {name!r} is not known: expected one of {', '.join(REPORTS)}")


def require_comparable(name: str) -> None:
    """Raise RequestError when what changed in a report cannot be told: it rests on several tables."""
    require(name)
    if name not in RESTS_ON:
        known = ", ".join(RESTS_ON)
        raise RequestError(f"what changed in the report {name} cannot be told by events: expected one of {known}")


def run(name: str, source: Source, request: Request) -> Report:
    """Return the report of that name. Raises RequestError when there is none, or when the request cannot be met."""
    require(name)
    for option, reports in _TAKEN_BY.items():
        if getattr(request, option) and name not in reports:
            known = ", ".join(each for each in REPORTS if each in reports)
            raise RequestError(f"the report {name} takes no --{option}: expected one of {known}")
    report = REPORTS[name](source, request)
    asked = queue_names.unheard(source, request.queues)
    # A report that judges visits by the definitions of their queues says so in its own definition.
    judges = "service_level_variant" in report.definition
    said = queue_names.notes(asked, queue_names.unused(source, request) if judges else None)
    return replace(report, notes=(*said, *report.notes), unheard=asked.names if asked else ())


def completeness_of(source: Source, report: Report) -> float | None:
    """Return how much is known of what must have been sent in a report's period; None where nothing must have been.

    Of a report on visits, of their enqueues and dequeues; of another one, of all events of the period's days in UTC.
    """
    if report.completeness is not None or report.from_ is None or report.to is None:
        return report.completeness
    return completeness.of_days(source, Period(report.from_, report.to), report.request.queues)
