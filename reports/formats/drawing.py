"""What charts are drawn with: colours, axes of time, and pictures as SVG, drawn here and now.

Nothing is left for a browser to load or run. Colours are written as marks which become the page's own custom
properties, so that a chart follows light and dark; on its own, a picture has the colours of light. Only numbers and
times are drawn, never text from outside.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import altair as alt
import vl_convert
from markupsafe import Markup

from reports.measures.definitions import ValueKind
from reports.tables.report import Report, Section

# vl-convert wants true colours; each of these stands for a custom property of page.css, and has its value in light.
INK, GRID, LINE, TARGET = "#0a0001", "#0a0002", "#0a0003", "#0a0004"
ANSWERED, ABANDONED, OTHER = "#0a0005", "#0a0006", "#0a0007"
_PROPERTIES = {
    INK: ("muted", "#5b6675"),
    GRID: ("rule", "#e1e5ea"),
    LINE: ("accent", "#0b62a8"),
    TARGET: ("target", "#6b7685"),
    ANSWERED: ("answered", "#2f7fbf"),
    ABANDONED: ("abandoned", "#d55e00"),
    OTHER: ("other", "#a3acb8"),
}
WIDE, NARROW = 860, 330
_HEIGHT = 220
_SCALE = 2
Picture = alt.Chart | alt.LayerChart | alt.FacetChart


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart: its picture for a wide and for a narrow page, the same in words, and the table beside it."""

    name: str
    title: str
    about: str
    wide: Markup
    narrow: Markup
    legend: tuple[tuple[str, str], ...]
    section: Section
    columns: tuple[str, ...]

    def alone(self) -> str:
        """Return the wide picture as an SVG file of its own, on white, with its title and what it says."""
        svg = str(self.wide)
        for name, light in _PROPERTIES.values():
            svg = svg.replace(f"var(--{name})", light)
        start = svg.index(">", svg.index("<svg")) + 1
        about = f"<title>{escape(self.title)}</title><desc>{escape(self.about)}</desc>"
        return f'{svg[:start]}{about}<rect width="100%" height="100%" fill="#ffffff"/>{svg[start:]}'

    def png(self) -> bytes:
        """Return the wide picture as a PNG file, for screens of twice the usual density."""
        return bytes(vl_convert.svg_to_png(self.alone(), scale=_SCALE))


def when(section: Section, report: Report, width: int) -> alt.X:
    """Return the axis of intervals: one place each, so that the repeated hour of autumn has two."""
    locals_ = [row["interval_start"].astimezone(report.request.zone) for row in section.rows()]
    every = max(1, -(-len(locals_) // (12 if width == WIDE else 5)))
    shown = list(range(0, len(locals_), every))
    if section.columns[0].kind is ValueKind.TIME:
        several = locals_[0].date() != locals_[-1].date()
        midnights = [n for n, at in enumerate(locals_) if n == 0 or at.date() != locals_[n - 1].date()]
        if several and len(midnights) <= (12 if width == WIDE else 5):
            shown = midnights
        texts = [
            f"{at:%H:%M}" if not several or n not in midnights else f"{at.day} {at:%b}" for n, at in enumerate(locals_)
        ]
    else:
        texts = [f"{at.day} {at:%b}" for at in locals_]
    axis = alt.Axis(
        values=shown, labelExpr=f"{texts!r}[datum.value]", labelAngle=0, title=None, labelOverlap="greedy", ticks=False
    )
    return alt.X("at:O", axis=axis, scale=alt.Scale(domain=list(range(len(locals_))), paddingInner=0.15))


def svg(draw: Callable[[int], Picture], width: int, height: int = _HEIGHT) -> Markup:
    """Return a picture of that width for a page."""
    chart = draw(width).properties(width=width, height=height, padding=2)
    chart = chart.configure(
        background="transparent",
        font="system-ui, sans-serif",
        autosize=alt.AutoSizeParams(type="fit", contains="padding"),
        axis=alt.AxisConfig(
            labelColor=INK,
            titleColor=INK,
            titleFontWeight="normal",
            labelFontSize=12,
            titleFontSize=12,
            gridColor=GRID,
            domainColor=GRID,
            tickColor=GRID,
            labelPadding=6,
        ),
        axisX=alt.AxisConfig(grid=False),
        axisY=alt.AxisConfig(domain=False, ticks=False),
        view=alt.ViewConfig(stroke=None),
    )
    drawn = vl_convert.vegalite_to_svg(chart.to_dict())
    for color, (name, _) in _PROPERTIES.items():
        drawn = drawn.replace(f'"{color}"', f'"var(--{name})"')
    # A picture is described once, by the words beside it, and not mark by mark.
    drawn = re.sub(r' (?:role|aria-[a-z]+|class|xmlns:xlink)="[^"]*"', "", drawn)
    return Markup(drawn)  # noqa: S704 -- drawn from numbers and times alone
