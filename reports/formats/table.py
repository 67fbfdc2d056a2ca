"""Tables for a terminal, fitted to its width: what matters least goes first."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from reports.formats import cells
from reports.formats.cells import Grade
from reports.measures.definitions import ValueKind
from reports.tables.report import (
    Column,
    Report,
    Section,
)

WIDTH = 100
_FOR_MACHINES = 9
_BETWEEN = 3
_COLORS = {Grade.MET: "green", Grade.NEARLY: "yellow", Grade.MISSED: "red"}


def render(report: Report, *, width: int = WIDTH, color: bool = False) -> str:
    """Return the report as text no wider than `width` characters, with ANSI colours if asked for."""
    written = io.StringIO()
    console = Console(
        file=written,
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        legacy_windows=False,
        _environ={},  # the text depends on the arguments alone, not on COLUMNS or NO_COLOR
    )
    console.print(renderable(report, width=width))
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines()) + "\n"


def renderable(report: Report, *, width: int = WIDTH) -> RenderableType:
    """Return the report for a rich console of that width."""
    parts: list[RenderableType] = [Text(report.title, style="bold")]
    for section in report.sections:
        if not section.aside:
            title = section.title if section.sparse is None else f"{section.title} (those without any are left out)"
            parts += [Text(), Text(title, style="bold"), _table(section, report, width)]
            if section.listed is not None and section.frame.height > section.listed:
                more = (
                    f"{section.frame.height - section.listed:,} more: take them as CSV with --section {section.name}."
                )
                parts.append(Text(more, style="dim"))
    parts += [Text(), *(Text(note, style="dim") for note in report.notes)]
    return Group(*parts)


def _table(section: Section, report: Report, width: int) -> RenderableType:
    rows = [row for row in section.rows() if section.sparse is None or row[section.sparse]]
    rows = rows[: section.listed]
    if not rows and section.totals is None:
        return Text("Nothing in this period.", style="dim")
    total = section.total_row()
    shown = fitting(section.columns, [*rows, *([total] if total else [])], report, width)
    table = Table(box=box.SIMPLE_HEAD, show_footer=total is not None, pad_edge=False, footer_style="bold")
    for column in shown:
        left = not column.is_numeric and column.kind is not ValueKind.FLAG
        footer = _cell(total, column, report) if total else ""
        table.add_column(
            Text(column.title),
            footer,
            justify="left" if left else "right",
            no_wrap=column.kind is not ValueKind.TEXT,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(_cell(row, column, report) for column in shown))
    return table


def fitting(
    columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], report: Report, width: int
) -> tuple[Column, ...]:
    """Return the columns that fit a width, in their order: the greatest priority goes, and of these the last."""
    shown = [column for column in columns if column.priority < _FOR_MACHINES]
    widths = {}
    for column in shown:
        widest = max([cell_len(column.title), *(cell_len(cells.shown(row, column, report)) for row in rows)])
        # Text can be folded, so that one long name does not cost every other column its place.
        widths[column.name] = min(widest, width * 2 // 5) if column.kind is ValueKind.TEXT else widest
    while len(shown) > 1 and sum(widths[column.name] + _BETWEEN for column in shown) > width:
        least = max(column.priority for column in shown)
        if least == 1:
            break  # what must be there is folded instead
        shown.remove([column for column in shown if column.priority == least][-1])
    return tuple(shown)


def _cell(row: Mapping[str, Any], column: Column, report: Report) -> Text:
    mark = cells.marked(row, column, report)
    style = "dim" if row[column.name] is None else _COLORS[mark] if mark else ""
    # Text, not markup: a queue may be called "[red]".
    return Text(cells.shown(row, column, report), style=style)
