"""Formats: a report as text or as a file for people or machines. What came from outside is harmless in every one.

Each format is a module with `render(report, ...)`, which returns a text or, for those of `FILES`, bytes.
"""

from collections.abc import Callable, Mapping

from reports.errors import RequestError
from reports.formats import charts, csv, html, json, parquet, table, xlsx
from reports.tables.report import Report

FORMATS: Mapping[str, Callable[[Report], str]] = {
    "table": table.render,
    "csv": csv.render,
    "json": json.render,
    "html": html.render,
}
FILES: Mapping[str, Callable[[Report], bytes]] = {"parquet": parquet.render, "xlsx": xlsx.render}
EVERY = (*FORMATS, *FILES)
PICTURES = ("png", "svg")


def render(report: Report, form: str, *, raw: bool = False, width: int | None = None, color: bool = False) -> str:
    """Return the report as text in one of `FORMATS`.

    `raw` (csv) leaves text cells as they are, for machines; `width` in characters and `color` (table) fit a terminal.
    Raises RequestError when the format is not known.
    """
    if form not in FORMATS:
        raise _unknown(form)
    if form == "csv":
        return csv.render(report, raw=raw)
    if form == "table":
        return table.render(report, width=width or table.WIDTH, color=color)
    return FORMATS[form](report)


def encoded(report: Report, form: str, *, raw: bool = False) -> bytes:
    """Return the report in any format of `EVERY`, as the bytes of a file. `raw` as in `render`. Raises RequestError."""
    if form not in EVERY:
        raise _unknown(form)
    return FILES[form](report) if form in FILES else render(report, form, raw=raw).encode()


def pictures(report: Report, form: str) -> dict[str, bytes]:
    """Return each chart of a report, by its name, as the bytes of a file of `PICTURES`. Raises RequestError."""
    if form not in PICTURES:
        raise _unknown(form)
    return {each.name: each.png() if form == "png" else each.alone().encode() for each in charts.drawn(report)}


def _unknown(form: str) -> RequestError:
    return RequestError(f"format {form!r} is not known: expected one of {', '.join((*EVERY, *PICTURES))}")
