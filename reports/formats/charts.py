"""Charts as SVG text for a page, drawn here and now: nothing is left for the browser to load or run.

Colours are written as marks which become the page's own custom properties, so that a chart follows light and dark. Only
numbers and times are drawn, never text from outside.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import altair as alt
import vl_convert
from markupsafe import Markup

from reports import wording
from reports.definitions import Kind
from reports.intervals import Interval
from reports.report import Report, Section

# vl-convert wants true colours; each of these stands for a custom property of page.css.
_INK, _GRID, _LINE, _TARGET = "#0a0001", "#0a0002", "#0a0003", "#0a0004"
_ANSWERED, _ABANDONED, _OTHER = "#0a0005", "#0a0006", "#0a0007"
_PROPERTIES = {
    _INK: "muted",
    _GRID: "rule",
    _LINE: "accent",
    _TARGET: "target",
    _ANSWERED: "answered",
    _ABANDONED: "abandoned",
    _OTHER: "other",
}
_OUTCOMES = (("answered", _ANSWERED), ("abandoned", _ABANDONED), ("other", _OTHER))
_WIDE, _NARROW = 860, 330
_HEIGHT = 220
_Picture = alt.Chart | alt.LayerChart | alt.FacetChart


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart: the picture for a wide and for a narrow page, what it says in words, and the table beside it."""

    title: str
    about: str
    wide: Markup
    narrow: Markup
    legend: tuple[tuple[str, str], ...]
    section: Section
    columns: tuple[str, ...]


def drawn(report: Report) -> list[Drawing]:
    """Return the charts that a report asks for, in its order."""
    return [_CHARTS[name](report) for name in report.charts]


def _service_level(report: Report) -> Drawing:
    section = _by_time(report)
    target = report.request.target
    points = [{"at": n, "level": row["service_level"]} for n, row in enumerate(section.rows())]
    levels = [point["level"] for point in points if point["level"] is not None]
    met = sum(level >= target for level in levels)
    noun = section.columns[0].title.lower()

    def draw(width: int) -> _Picture:
        y = alt.Y("level:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%", tickCount=5))
        chart = alt.Chart({"values": points}).encode(x=_when(section, report, width), y=y)
        line = chart.mark_line(color=_LINE, strokeWidth=2, invalid="break-paths-show-domains")
        dots = chart.mark_circle(color=_LINE, size=30 if len(points) <= 60 else 12, opacity=1, invalid="filter")
        goal = alt.Chart({"values": [{"level": target}]}).mark_rule(color=_TARGET, strokeDash=[6, 4], strokeWidth=1.5)
        return alt.layer(goal.encode(y="level:Q"), line, dots)

    return Drawing(
        title=f"Service level by {noun}",
        about=f"{met} of {len(levels)} reached the target of {wording.target(target)}; no dot where nobody came."
        if levels
        else "There is no service level in this period.",
        wide=_svg(draw, _WIDE),
        narrow=_svg(draw, _NARROW),
        legend=(("accent", "service level"), ("target", f"target {wording.target(target)}")),
        section=section,
        columns=("interval_start", "offered", "service_level"),
    )


def _outcomes(report: Report) -> Drawing:
    section = _by_time(report)
    bars = [bar for n, row in enumerate(section.rows()) for bar in _stack({"at": n}, row, row["offered"])]
    busiest = max(section.rows(), key=lambda row: row["offered"])
    noun = section.columns[0].title.lower()

    def draw(width: int) -> _Picture:
        chart: alt.Chart = alt.Chart({"values": bars}).mark_bar().encode(x=_when(section, report, width), **_stacked())
        return chart

    return Drawing(
        title=f"Offered by {noun}",
        about=f"The bars add up to the visits offered; the most, {wording.number(busiest['offered'])}, came "
        f"{_when_text(busiest, section, report)}.",
        wide=_svg(draw, _WIDE),
        narrow=_svg(draw, _NARROW),
        legend=tuple((name, name) for name, _ in _OUTCOMES),
        section=section,
        columns=("interval_start", "offered", "answered", "abandoned", "timed_out", "left"),
    )


def _waits(report: Report) -> Drawing:
    section = report.section("wait_distribution")
    bars = [bar for row in section.rows() for bar in _stack({"wait": row["wait"]}, row, row["visits"])]
    order = [row["wait"] for row in section.rows()]

    def draw(width: int) -> _Picture:
        axis = alt.Axis(labelAngle=0 if width == _WIDE else -40, labelOverlap=False, title="seconds waited")
        x = alt.X("wait:O", sort=order, axis=axis, scale=alt.Scale(paddingInner=0.25))
        chart: alt.Chart = alt.Chart({"values": bars}).mark_bar().encode(x=x, **_stacked())
        return chart

    return Drawing(
        title="How long people waited",
        about="Visits by the length of their wait, in seconds, lower edge included; by how they ended.",
        wide=_svg(draw, _WIDE),
        narrow=_svg(draw, _NARROW),
        legend=tuple((name, name) for name, _ in _OUTCOMES),
        section=section,
        columns=tuple(column.name for column in section.columns if column.priority < 9),
    )


_CHARTS: Mapping[str, Callable[[Report], Drawing]] = {
    "service_level": _service_level,
    "outcomes": _outcomes,
    "waits": _waits,
}


def _by_time(report: Report) -> Section:
    """Return the table to draw over time: the one made for charts where the asked-for one is too fine."""
    try:
        return report.section("trend")
    except KeyError:
        return report.section("intervals")


def _stack(place: Mapping[str, Any], row: Mapping[str, Any], all_of_it: int) -> list[dict[str, Any]]:
    counts = {"answered": row["answered"], "abandoned": row["abandoned"]}
    counts["other"] = all_of_it - sum(counts.values())
    return [{**place, "outcome": name, "order": n, "visits": counts[name]} for n, (name, _) in enumerate(_OUTCOMES)]


def _stacked() -> dict[str, Any]:
    scale = alt.Scale(domain=[name for name, _ in _OUTCOMES], range=[color for _, color in _OUTCOMES])
    return {
        "y": alt.Y("sum(visits):Q", title=None, axis=alt.Axis(tickCount=5, tickMinStep=1, format=",d")),
        "color": alt.Color("outcome:N", scale=scale, legend=None),
        "order": alt.Order("order:Q"),
    }


def _when_text(row: Mapping[str, Any], section: Section, report: Report) -> str:
    at, zone = row["interval_start"], report.request.zone
    if section.columns[0].kind is Kind.DATE:
        return f"from {wording.day(at, zone)}" if _is_longer_than_a_day(section) else f"on {wording.day(at, zone)}"
    return f"from {wording.moment(at, zone)}"


def _is_longer_than_a_day(section: Section) -> bool:
    return section.columns[0].title.lower() != Interval.DAY.noun


def _when(section: Section, report: Report, width: int) -> alt.X:
    """Return the axis of intervals: one place each, so that the repeated hour of autumn has two."""
    locals_ = [row["interval_start"].astimezone(report.request.zone) for row in section.rows()]
    every = max(1, -(-len(locals_) // (12 if width == _WIDE else 5)))
    shown = list(range(0, len(locals_), every))
    if section.columns[0].kind is Kind.TIME:
        several = locals_[0].date() != locals_[-1].date()
        midnights = [n for n, at in enumerate(locals_) if n == 0 or at.date() != locals_[n - 1].date()]
        if several and len(midnights) <= (12 if width == _WIDE else 5):
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


def _svg(draw: Callable[[int], _Picture], width: int) -> Markup:
    chart = draw(width).properties(width=width, height=_HEIGHT, padding=2)
    chart = chart.configure(
        background="transparent",
        font="system-ui, sans-serif",
        autosize=alt.AutoSizeParams(type="fit", contains="padding"),
        axis=alt.AxisConfig(
            labelColor=_INK,
            titleColor=_INK,
            titleFontWeight="normal",
            labelFontSize=12,
            titleFontSize=12,
            gridColor=_GRID,
            domainColor=_GRID,
            tickColor=_GRID,
            labelPadding=6,
        ),
        axisX=alt.AxisConfig(grid=False),
        axisY=alt.AxisConfig(domain=False, ticks=False),
        view=alt.ViewConfig(stroke=None),
    )
    svg = vl_convert.vegalite_to_svg(chart.to_dict())
    for color, name in _PROPERTIES.items():
        svg = svg.replace(f'"{color}"', f'"var(--{name})"')
    # A picture is described once, by the words beside it, and not mark by mark.
    svg = re.sub(r' (?:role|aria-[a-z]+|class|xmlns:xlink)="[^"]*"', "", svg)
    return Markup(svg)  # noqa: S704 -- drawn from numbers and times alone
