"""Formats: a report as text for people or machines. What came from outside (queue names) is harmless in every one.

Each format is a module with `render(report, ...) -> str`.
"""

from collections.abc import Callable, Mapping

from reports.errors import RequestError
from reports.formats import csv, html, json, table
from reports.report import Report

FORMATS: Mapping[str, Callable[[Report], str]] = {
    "table": table.render,
    "csv": csv.render,
    "json": json.render,
    "html": html.render,
}


def render(report: Report, form: str, *, raw: bool = False, width: int | None = None, color: bool = False) -> str:
    """Return the report in one of `FORMATS`.

    `raw` (csv) leaves text cells as they are, for machines; `width` in characters and `color` (table) fit a terminal.
    Raises RequestError when the format is not known.
    """
    if form not in FORMATS:
        raise RequestError(f"format {form!r} is not known: expected one of {', '.join(FORMATS)}")
    if form == "csv":
        return csv.render(report, raw=raw)
    if form == "table":
        return table.render(report, width=width or table.WIDTH, color=color)
    return FORMATS[form](report)
