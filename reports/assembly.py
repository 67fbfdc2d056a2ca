"""A report put together from what it found: what every report says in the same way is said here."""

from collections.abc import Mapping, Sequence

from reports import notes
from reports.intervals import Spine
from reports.report import Basis, Column, Report, Section
from reports.request import Request
from reports.visits import Period

EVERYWHERE = ("tz", "interval", "queues")


def assembled(
    *,
    name: str,
    title: str,
    what: str,
    request: Request,
    told: Request | None = None,
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
) -> Report:
    """Return the report. `what` it is about, in the plural; `said` are its own notes; `measures` is a digest.

    `told` is the request with what turned out to hold, where that differs.
    """
    configuration = notes.configuration(request, basis, *settings)
    return Report(
        name=name,
        title=title,
        request=told or request,
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
    )
