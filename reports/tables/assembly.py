"""Puts a report together: the parts that all reports have in common are added here."""

from collections.abc import Mapping, Sequence
from typing import Any

from reports.basis import Basis
from reports.calendar.intervals import Spine
from reports.request import scope
from reports.request.request import Request
from reports.tables import notes, visit_notes
from reports.tables.report import (
    Column,
    Report,
    Section,
)
from reports.tables.visit_data import VisitData
from reports.tables.visits import Period

EVERYWHERE = ("tz", "interval", "queues")
OF_VISITS = (*EVERYWHERE, "threshold_secs", "short_abandon_secs", "target", "variant", "completeness_floor")


def assembled(
    *,
    name: str,
    title: str,
    what: str,
    request: Request,
    effective_request: Request | None = None,
    basis: Basis,
    covered: Period | None,
    spine: Spine | None = None,
    sections: Sequence[Section],
    main: str,
    headline: Sequence[Column] = (),
    definition: Mapping[str, str | float | int],
    said: Sequence[str],
    settings: Sequence[str] = EVERYWHERE,
    measures: str,
    charts: Sequence[str] = (),
    completeness: float | None = None,
) -> Report:
    """Return the report. `what` it is about, in the plural; `said` are its own notes; `measures` is a digest.

    `effective_request` is the request with the policy that held for its queues, where that differs.
    """
    configuration = notes.configuration(request, basis, *settings)
    return Report(
        name=name,
        title=scope.titled(title, request),
        request=effective_request or request,
        from_=None if covered is None else covered.from_,
        to=None if covered is None else covered.to,
        sections=tuple(sections),
        main=main,
        headline=tuple(headline),
        definition=definition,
        notes=(
            *notes.covered(covered, request, what, spine),
            *said,
            *notes.foundations(basis, configuration, measures, request.now),
        ),
        basis=basis,
        configuration=configuration,
        measure_definitions=measures,
        charts=tuple(charts),
        completeness=completeness,
    )


def of_visits(
    found: VisitData,
    total: Mapping[str, Any],
    *,
    name: str,
    title: str,
    sections: Sequence[Section],
    main: str | None = None,
    shown: Sequence[Column] = (),
    headline: Sequence[str] = (),
    definition: Mapping[str, str] | None = None,
    said: Sequence[str] = (),
    periods: Sequence[str] = (),
    leading: bool = True,
    settings: Sequence[str] = OF_VISITS,
    measures: str,
    charts: Sequence[str] = (),
) -> Report:
    """Return a report on queue visits, `total` being the row of all of them; without visits it has no charts.

    `headline` names columns of `shown`. `leading` says that it leads with the service level. The notes `periods` stand
    before those of every such report, `said` after them. The first section is the main one unless `main` names another.
    """
    made = found.tables
    return assembled(
        name=name,
        title=title,
        what="visits",
        request=made.request,
        effective_request=made.effective_request,
        basis=found.basis,
        covered=found.covered,
        spine=made.spine,
        sections=sections,
        main=main or sections[0].name,
        headline=[column for wanted in headline for column in shown if column.name == wanted],
        definition={**visit_notes.definition(made), **(definition or {})},
        said=[*periods, *visit_notes.notes(made, found.visits, total, leading=leading), *said],
        settings=settings,
        measures=measures,
        charts=charts if total["offered"] else (),
        completeness=total["completeness"],
    )
