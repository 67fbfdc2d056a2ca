"""CSV of a report's main table, or of any other. Rates are fractions, durations milliseconds, null is an empty cell."""

import csv
import io
import re

from reports import humanize
from reports.formats import cells
from reports.tables import notes
from reports.tables.report import Report

# Source: OWASP "CSV Injection", with the line feed it added in 2025, and full-width forms, which some take too.
_STARTS = r"=+\-@\t\r\n＝＋－＠"  # noqa: RUF001 -- the full-width forms are meant
_FORMULA = re.compile(rf"[\s\"]*[{_STARTS}]")
_PIECES = re.compile(rf"(^|[;\t|,])(?=[\s\"]*[{_STARTS}])")
"""Where a cell begins with a formula, as a whole or cut at any separator that a spreadsheet may presume."""


def render(report: Report, *, raw: bool = False, section: str | None = None) -> str:
    """Return one section (the report's main one unless named) with a header line of column names.

    The last columns say in every row what the report rests on, so that a row can be trusted wherever it ends up.
    No text is a formula to a spreadsheet, wherever it cuts cells (`safe`); what is invisible is spelt out, and what is
    long is cut. `raw` writes text as it is, for programs that must get back what went in. Raises KeyError for another
    section.
    """
    chosen = report.section(section or report.main)
    zone = report.request.zone
    written = io.StringIO()
    # RFC 4180 line ends; with "\n" alone Python would leave a carriage return within a cell unquoted.
    writer = csv.writer(written, lineterminator="\r\n")
    foundations, value_of = _foundations(report), cells.raw if raw else cells.cut
    writer.writerow([*(column.name for column in chosen.columns), *foundations])
    for row in chosen.rows():
        values = (*(value_of(row[column.name], zone) for column in chosen.columns), *foundations.values())
        writer.writerow([safe(value) if isinstance(value, str) and not raw else value for value in values])
    return written.getvalue()


def _foundations(report: Report) -> dict[str, str]:
    return {
        "log_position": report.basis.position,
        "definitions": f"facts {' and '.join(report.basis.fact_definitions)}, measures {report.measure_definitions}",
        "configuration": "; ".join(f"{s.name}={notes.in_words(s)} ({s.origin})" for s in report.configuration),
    }


def begins_formula(text: str) -> bool:
    """Return whether a spreadsheet may take the text for a formula, whatever spaces or quotes come before it."""
    return _FORMULA.match(text) is not None


def safe(text: str) -> str:
    """Return text that no spreadsheet runs, with nothing invisible in it: `'=1+1`.

    A file is opened with the separator of the reader's country, `;` say, and then quotes in the middle of a cell mean
    nothing. So each piece between `;`, tab, `|` and `,` that begins with a formula, or with spaces or quotes and then
    one, gets a `'` before it: `x;=1+1` becomes `x;'=1+1`.
    """
    return humanize.plain(_PIECES.sub(r"\1'", text))
