"""The reports there are, and the facts they rest on. A new report is one new file and its lines here."""

from collections.abc import Callable, Mapping

from reports import (
    abandonment,
    by_interval,
    calls,
    compare,
    conferences,
    depth,
    end_reasons,
    heatmap,
    participants,
    queues,
    recordings,
    sla,
    waits,
)
from reports.errors import RequestError
from reports.report import Report, RestsOn
from reports.request import Request
from reports.source import Source

REPORTS: Mapping[str, Callable[[Source, Request], Report]] = {
    "sla": sla.report,
    "queues": queues.report,
    "abandonment": abandonment.report,
    "waits": waits.report,
    "intervals": by_interval.report,
    "heatmap": heatmap.report,
    "depth": depth.report,
    "compare": compare.report,
    "conferences": conferences.report,
    "participants": participants.report,
    "end-reasons": end_reasons.report,
    "recordings": recordings.report,
    "calls": calls.report,
}
RESTS_ON: Mapping[str, RestsOn] = {
    **dict.fromkeys(("sla", "queues", "abandonment", "waits"), sla.RESTS_ON),
    "conferences": conferences.RESTS_ON,
    "recordings": recordings.RESTS_ON,
    "calls": calls.RESTS_ON,
}


def require(name: str) -> None:
    """Raise RequestError when there is no report of that name."""
    if name not in REPORTS:
        raise RequestError(f"report {name!r} is not known: expected one of {', '.join(REPORTS)}")


def run(name: str, source: Source, request: Request) -> Report:
    """Return the report of that name. Raises RequestError when there is none, or when the request cannot be met."""
    require(name)
    return REPORTS[name](source, request)
