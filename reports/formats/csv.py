"""CSV of a report's main table, or of any other. Rates are fractions, durations milliseconds, null is an empty cell."""

import csv
import io

from reports import notes, wording
from reports.formats import cells
from reports.report import Report

# Source: OWASP "CSV Injection", with the line feed it added in 2025, and full-width forms, which some take too.
FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 -- the full-width forms are meant


def render(report: Report, *, raw: bool = False, section: str | None = None) -> str:
    """Return one section (the report's main one unless named) with a header line of column names.

    The last columns say in every row what the report rests on, so that a row can be trusted wherever it ends up.
    A text cell that a spreadsheet would take for a formula gets a `'` before it, and what is invisible in it is spelt
    out. `raw` writes text as it is, for programs that must get back what went in. Raises KeyError for another section.
    """
    chosen = report.section(section or report.main)
    zone = report.request.zone
    written = io.StringIO()
    # RFC 4180 line ends; with "\n" alone Python would leave a carriage return within a cell unquoted.
    writer = csv.writer(written, lineterminator="\r\n")
    foundations = _foundations(report)
    writer.writerow([*(column.name for column in chosen.columns), *foundations])
    for row in chosen.rows():
        values = (*(cells.raw(row[column.name], zone) for column in chosen.columns), *foundations.values())
        writer.writerow([safe(value) if isinstance(value, str) and not raw else value for value in values])
    return written.getvalue()


def _foundations(report: Report) -> dict[str, str]:
    return {
        "log_position": report.basis.position,
        "definitions": f"facts {' and '.join(report.basis.fact_definitions)}, measures {report.measure_definitions}",
        "configuration": "; ".join(f"{s.name}={notes.in_words(s)} ({s.origin})" for s in report.configuration),
    }


def safe(text: str) -> str:
    """Return text that no spreadsheet runs: `'=1+1`."""
    harmless = wording.plain(text)
    # Spaces before a formula do not stop every spreadsheet.
    return f"'{harmless}" if text.lstrip(" ").startswith(FORMULA_STARTS) else harmless
