"""XLSX: one sheet a section after one that says what the report rests on; numbers, times and rates as such.

Text from outside is text and nothing else, neither formula nor link, and stays so when somebody edits the cell. The
file depends on the report alone: its date of creation is that of what the report rests on.
"""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from reports import humanize
from reports.errors import RequestError
from reports.formats import cells
from reports.formats.cells import Grade
from reports.formats.csv import begins_formula
from reports.measures.definitions import ValueKind
from reports.tables.report import (
    Column,
    Report,
    Section,
)

MAX_ROWS = 1_048_576 - 2  # what a sheet holds, less headings and totals
MAX_TEXT = 32_767
_MEASURED = 1000  # rows that decide how wide a column is
_DAY_MS = 86_400_000
_NO_DATE = datetime(2000, 1, 1, tzinfo=UTC)
_NUMBERS = {
    ValueKind.COUNT: "#,##0",
    ValueKind.RATE: "0.0%",
    ValueKind.DURATION: "[h]:mm:ss.0",
    ValueKind.TIME: "yyyy-mm-dd hh:mm:ss",
    ValueKind.DATE: "yyyy-mm-dd",
    ValueKind.NUMBER: "General",
}
_INKS = {Grade.MET: "#00664B", Grade.NEARLY: "#7D5700", Grade.MISSED: "#B03A00"}


def render(report: Report) -> bytes:
    """Return the workbook. Raises RequestError where a table has more rows than a sheet."""
    written = io.BytesIO()
    options = {
        "in_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "remove_timezone": False,
    }
    book = xlsxwriter.Workbook(written, options)
    created = report.basis.as_of or report.basis.landed_at or _NO_DATE
    book.set_properties({"title": report.title, "author": "holdtime", "created": created.replace(tzinfo=None)})
    styles = _Styles(book)
    _about(book.add_worksheet("About"), report, styles)
    taken = {"about"}
    for section in report.sections:
        if section.frame.height > MAX_ROWS:
            raise RequestError(
                f"{section.title} has {section.frame.height:,} rows and a sheet {MAX_ROWS:,} at most: "
                "take it as CSV or Parquet, or choose a longer interval or a shorter period"
            )
        _Sheet(book.add_worksheet(_sheet_name(section.title, taken)), section, report, styles).write()
    book.close()
    return written.getvalue()


class _Styles:
    """The formats of a book, each made once."""

    def __init__(self, book: xlsxwriter.Workbook) -> None:
        self._book = book
        self._made: dict[tuple[tuple[str, Any], ...], Format] = {}

    def of(self, **wanted: Any) -> Format:
        key = tuple(sorted(wanted.items()))
        if key not in self._made:
            self._made[key] = self._book.add_format(wanted)
        return self._made[key]


def _about(sheet: Worksheet, report: Report, styles: _Styles) -> None:
    sheet.set_column(0, 0, 110)
    sheet.write_string(0, 0, report.title, styles.of(bold=True, font_size=16))
    for row, note in enumerate(report.notes, 2):
        sheet.write_string(row, 0, _text(note), styles.of(text_wrap=True, valign="top"))


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A section being written into a sheet."""

    sheet: Worksheet
    section: Section
    report: Report
    styles: _Styles

    def write(self) -> None:
        rows, total = [*self.section.rows()], self.section.total_row()
        for n, column in enumerate(self.section.columns):
            self._heading(n, column, rows)
        for at, row in enumerate(rows, 1):
            self._row(at, row)
        if total is not None:
            self._row(len(rows) + 1, total, bold=True, top=1)
        self.sheet.freeze_panes(1, 1)
        if rows:
            self.sheet.autofilter(0, 0, len(rows), len(self.section.columns) - 1)

    def _heading(self, n: int, column: Column, rows: Sequence[Mapping[str, Any]]) -> None:
        zone = self.report.request.zone
        self.sheet.write_string(0, n, column.title, self.styles.of(bold=True, text_wrap=True, valign="top", bottom=1))
        widest = max((len(cells.text(row[column.name], column, zone)) for row in rows[:_MEASURED]), default=0)
        self.sheet.set_column(n, n, min(60, max(9, widest + 2)))
        if column.formula:
            self.sheet.write_comment(0, n, f"{column.name}: {column.formula}")

    def _row(self, at: int, row: Mapping[str, Any], **style: Any) -> None:
        for n, column in enumerate(self.section.columns):
            value = row[column.name]
            if value is None:
                self.sheet.write_blank(at, n, None, self.styles.of(**style))
            elif isinstance(value, str):
                # Kept as text even where somebody edits the cell.
                prefixed = {"quote_prefix": True} if begins_formula(value) else {}
                self.sheet.write_string(at, n, humanize.name(value), self.styles.of(**style, **prefixed))
            elif column.kind is ValueKind.FLAG:
                self.sheet.write_boolean(at, n, value, self.styles.of(**style))
            elif isinstance(value, datetime):
                local = value.astimezone(self.report.request.zone).replace(tzinfo=None)
                self.sheet.write_datetime(at, n, local, self.styles.of(**style, **self._look(row, column)))
            else:
                number = value / _DAY_MS if column.kind is ValueKind.DURATION else value
                self.sheet.write_number(at, n, number, self.styles.of(**style, **self._look(row, column)))

    def _look(self, row: Mapping[str, Any], column: Column) -> dict[str, str]:
        value = row[column.name]
        mean_of_counts = column.kind is ValueKind.COUNT and isinstance(value, float)
        look = {"num_format": "0.0" if mean_of_counts else _NUMBERS[column.kind]}
        if (mark := cells.marked(row, column, self.report)) is not None:
            look["font_color"] = _INKS[mark]
        return look


def _text(text: str) -> str:
    return humanize.plain(text)[:MAX_TEXT]


def _sheet_name(title: str, taken: set[str]) -> str:
    """Return a name that a sheet may have, at most 31 characters and none twice."""
    plain = re.sub(r"[\[\]:*?/\\']", " ", title)
    name, n = plain[:31], 1
    while name.lower() in taken:
        n += 1
        name = f"{plain[: 30 - len(str(n))]} {n}"
    taken.add(name.lower())
    return name
