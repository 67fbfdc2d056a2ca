"""A report as one HTML page that needs nothing else: no network, no script. Light, dark, narrow and printed."""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from reports import humanize
from reports.formats import cells, charts
from reports.formats.cells import Grade
from reports.measures.definitions import ValueKind
from reports.request import scope
from reports.tables.report import (
    Column,
    Report,
    Section,
)

_STYLE, _PAGE = (files(__package__).joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.html.j2"))

MAX_ROWS = 500
MAX_OPEN_ROWS = 40
_ALWAYS, _IF_ANY, _VARIANT = 4, 5, 8
_GRADES = {Grade.MET: "target met", Grade.NEARLY: "just below target", Grade.MISSED: "below target"}


def render(report: Report) -> str:
    """Return the page. Text from outside is escaped and spelt out; the style sheet is allowed by its hash alone."""
    drawings, summary = charts.drawn(report), report.summary()
    # A chart with all of its table beside it says all that the table could say again.
    whole = {chart.section.name for chart in drawings if set(chart.columns) >= {c.name for c in chart.section.columns}}
    return _page().render(
        report=report,
        style=Markup(_STYLE),  # noqa: S704 -- our own style sheet, with nothing from outside in it
        style_hash=base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode(),
        period=_period(report),
        cards=[_card(column, summary, report) for column in report.headline] if summary else [],
        charts=drawings,
        sections=[section for section in report.sections if not section.aside and section.name not in whole],
        columns=_columns,
        rows=lambda section: islice(section.rows(), MAX_ROWS),
        variants=_variants,
        max_open_rows=MAX_OPEN_ROWS,
        cell=lambda row, column: cells.shown(row, column, report),
        mark=lambda row, column: cells.marked(row, column, report) or "",
        numeric=lambda column: column.is_numeric,
        in_groups=_in_groups,
        max_rows=MAX_ROWS,
        plain=humanize.plain,
        now=humanize.moment(report.request.now, report.request.zone),
    )


@cache
def _page() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_PAGE)


def _period(report: Report) -> str:
    if report.from_ is None or report.to is None:
        return "no data yet"
    from_, to = (humanize.moment(at, report.request.zone) for at in (report.from_, report.to))
    return f"{from_} to {to}"


def _columns(section: Section) -> list[Column]:
    """Return the columns that a page has room for: the rarer counts only where one is not 0."""
    return [
        column
        for column in section.columns
        if column.priority <= _ALWAYS
        or (column.priority == _IF_ANY and column.kind is ValueKind.COUNT and section.frame[column.name].sum())
    ]


def _in_groups(section: Section, columns: list[Column]) -> bool:
    """Tell whether rows of one group stand together, several of them beginning alike."""
    first = section.frame.head(MAX_ROWS)[columns[0].name]
    return 1 < first.n_unique() < len(first)


def _variants(section: Section) -> list[Column]:
    """Return the columns of a table of every service level variant, the first naming the row; none if it has none."""
    variants = [column for column in section.columns if column.priority == _VARIANT]
    return [section.columns[0], *variants] if variants else []


def _card(column: Column, row: Mapping[str, Any], report: Report) -> dict[str, str]:
    mark = cells.marked(row, column, report)
    about = ""
    if column.name == "service_level":
        request = report.request
        about = (
            f"within {humanize.seconds(request.threshold_secs)}, {request.variant.replace('_', ' ')}, "
            f"target {humanize.target(request.target)}"
        )
    elif column.name == "offered":
        about = f"visits to {scope.of(report.request)}"
    return {
        "title": column.title,
        "value": cells.text(row[column.name], column, report.request.zone),
        "grade": mark or "",
        "verdict": "below the floor" if mark and column.name == "completeness" else _GRADES[mark] if mark else "",
        "about": about or _ABOUT.get(column.name, ""),
    }


_ABOUT = {
    "abandonment_rate": "of the visits that have ended",
    "mean_wait_answered_ms": "mean wait of the answered",
    "longest_wait_ms": "of any visit",
    "completeness": "of what these visits prove is known",
}
