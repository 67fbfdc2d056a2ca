"""The reports there are, and the facts they rest on. A new report is one new file and its lines here."""

from collections.abc import Callable, Mapping

from reports import completeness, conferences, sla
from reports.errors import RequestError
from reports.report import Report, RestsOn
from reports.request import Request
from reports.source import Source

REPORTS: Mapping[str, Callable[[Source, Request], Report]] = {
    "sla": sla.report,
    "conferences": conferences.report,
    "completeness": completeness.report,
}
RESTS_ON: Mapping[str, RestsOn] = {
    "sla": sla.RESTS_ON,
    "conferences": conferences.RESTS_ON,
    "completeness": completeness.RESTS_ON,
}


def require(name: str) -> None:
    """Raise RequestError when there is no report of that name."""
    if name not in REPORTS:
        raise RequestError(f"report {name!r} is not known: expected one of {', '.join(REPORTS)}")


def run(name: str, source: Source, request: Request) -> Report:
    """Return the report of that name. Raises RequestError when there is none, or when the request cannot be met."""
    require(name)
    return REPORTS[name](source, request)
