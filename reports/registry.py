"""The reports there are. A new report is one new file and one line here."""

from collections.abc import Callable, Mapping

from reports import conferences, sla
from reports.errors import RequestError
from reports.report import Report
from reports.request import Request
from reports.source import Source

REPORTS: Mapping[str, Callable[[Source, Request], Report]] = {
    "sla": sla.report,
    "conferences": conferences.report,
}


def run(name: str, source: Source, request: Request) -> Report:
    """Return the report of that name. Raises RequestError when there is none, or when the request cannot be met."""
    if name not in REPORTS:
        raise RequestError(f"report {name!r} is not known: expected one of {', '.join(REPORTS)}")
    return REPORTS[name](source, request)
