"""What the catalogue knows of a report: its name, how it is made, and which options it takes."""

from collections.abc import Callable
from dataclasses import dataclass

from reports.catalogue.evidence import Evidence
from reports.request.request import Request
from reports.source import Source
from reports.tables.report import Report


@dataclass(frozen=True, slots=True)
class ReportSpec:
    """A report of the catalogue; its module ends in one.

    `summary` is its line in `holdtime report list`. `run` makes the report and raises RequestError where it cannot meet
    the request. `takes` names those of the options `hours`, `explain` and `agents` that the report takes; it refuses
    the others. `evidence` is what `holdtime report diff` traces its figures to, None where it cannot.
    """

    name: str
    summary: str
    run: Callable[[Source, Request], Report]
    takes: frozenset[str] = frozenset()
    evidence: Evidence | None = None
