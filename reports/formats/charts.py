"""The charts of reports. Each is one function, which names the table that has the same numbers."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import altair as alt

from reports import humanize
from reports.calendar.intervals import Interval
from reports.formats.drawing import ABANDONED, ANSWERED, LINE, NARROW, OTHER, TARGET, WIDE, Drawing, Picture, svg, when
from reports.measures.definitions import ValueKind
from reports.request import scope
from reports.tables.dimensions import HOURS, WEEKDAYS
from reports.tables.report import Report, Section

_OUTCOMES = (("answered", ANSWERED), ("abandoned", ABANDONED), ("other", OTHER))


def drawn(report: Report) -> list[Drawing]:
    """Return the charts that a report asks for, in its order."""
    drawings = [_CHARTS[name](report) for name in report.charts]
    return [replace(each, title=scope.titled(each.title, report.request)) for each in drawings]


def _service_level(report: Report) -> Drawing:
    section = _by_time(report)
    target = report.request.target
    points = [{"at": n, "level": row["service_level"]} for n, row in enumerate(section.rows())]
    levels = [point["level"] for point in points if point["level"] is not None]
    met = sum(level >= target for level in levels)
    noun = section.columns[0].title.lower()

    def draw(width: int) -> Picture:
        y = alt.Y("level:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%", tickCount=5))
        chart = alt.Chart({"values": points}).encode(x=when(section, report, width), y=y)
        line = chart.mark_line(color=LINE, strokeWidth=2, invalid="break-paths-show-domains")
        dots = chart.mark_circle(color=LINE, size=30 if len(points) <= 60 else 12, opacity=1, invalid="filter")
        goal = alt.Chart({"values": [{"level": target}]}).mark_rule(color=TARGET, strokeDash=[6, 4], strokeWidth=1.5)
        return alt.layer(goal.encode(y="level:Q"), line, dots)

    return Drawing(
        name="service-level",
        title=f"Service level by {noun}",
        about=f"{met} of {len(levels)} reached the target of {humanize.target(target)}; no dot where nobody came."
        if levels
        else "There is no service level in this period.",
        wide=svg(draw, WIDE),
        narrow=svg(draw, NARROW),
        legend=(("accent", "service level"), ("target", f"target {humanize.target(target)}")),
        section=section,
        columns=("interval_start", "offered", "service_level"),
    )


def _outcomes(report: Report) -> Drawing:
    section = _by_time(report)
    bars = [bar for n, row in enumerate(section.rows()) for bar in _stack({"at": n}, row, row["offered"])]
    busiest = max(section.rows(), key=lambda row: row["offered"])
    noun = section.columns[0].title.lower()

    def draw(width: int) -> Picture:
        chart: alt.Chart = alt.Chart({"values": bars}).mark_bar().encode(x=when(section, report, width), **_stacked())
        return chart

    return Drawing(
        name="offered",
        title=f"Offered by {noun}",
        about=f"The bars add up to the visits offered; the most, {humanize.number(busiest['offered'])}, came "
        f"{_when_text(busiest, section, report)}.",
        wide=svg(draw, WIDE),
        narrow=svg(draw, NARROW),
        legend=tuple((name, name) for name, _ in _OUTCOMES),
        section=section,
        columns=("interval_start", "offered", "answered", "abandoned", "timed_out", "left"),
    )


def _waits(report: Report) -> Drawing:
    section = report.section("wait_distribution")
    bars = [bar for row in section.rows() for bar in _stack({"wait": row["wait"]}, row, row["visits"])]
    order = [row["wait"] for row in section.rows()]

    def draw(width: int) -> Picture:
        axis = alt.Axis(labelAngle=0 if width == WIDE else -40, labelOverlap=False, title="seconds waited")
        x = alt.X("wait:O", sort=order, axis=axis, scale=alt.Scale(paddingInner=0.25))
        chart: alt.Chart = alt.Chart({"values": bars}).mark_bar().encode(x=x, **_stacked())
        return chart

    return Drawing(
        name="waits",
        title="How long people waited",
        about="Visits by the length of their wait, in seconds, lower edge included; by how they ended.",
        wide=svg(draw, WIDE),
        narrow=svg(draw, NARROW),
        legend=tuple((name, name) for name, _ in _OUTCOMES),
        section=section,
        columns=tuple(column.name for column in section.columns if column.priority < 9),
    )


def _abandonment(report: Report) -> Drawing:
    section = report.section("by_wait")
    points = [{"wait": row["wait"], "share": row["hazard"]} for row in section.rows() if row["hazard"] is not None]
    order = [row["wait"] for row in section.rows()]

    def draw(width: int) -> Picture:
        axis = alt.Axis(labelAngle=0 if width == WIDE else -40, labelOverlap=False, title="seconds waited")
        x = alt.X("wait:O", sort=order, axis=axis, scale=alt.Scale(paddingInner=0.25, domain=order))
        y = alt.Y("share:Q", title=None, axis=alt.Axis(format=".0%", tickCount=5))
        chart: alt.Chart = alt.Chart({"values": points}).mark_bar(color=ABANDONED).encode(x=x, y=y)
        return chart

    return Drawing(
        name="abandonment",
        title="When people give up",
        about="Of those who had waited so long, the share that gave up before the next mark.",
        wide=svg(draw, WIDE),
        narrow=svg(draw, NARROW),
        legend=(("abandoned", "gave up"),),
        section=section,
        columns=tuple(column.name for column in section.columns),
    )


def _depth(report: Report) -> Drawing:
    section = report.section("intervals")
    rows = list(section.rows())
    points = [{"at": n, "peak": row["peak"], "mean": row["mean_depth"]} for n, row in enumerate(rows)]
    busiest = max(rows, key=lambda row: row["peak"])

    def draw(width: int) -> Picture:
        chart = alt.Chart({"values": points})
        axis = alt.Axis(tickCount=5, tickMinStep=1, format=",d")
        peak = chart.mark_bar(color=OTHER).encode(
            x=when(section, report, width), y=alt.Y("peak:Q", title=None, axis=axis)
        )
        mean = chart.mark_line(color=LINE, strokeWidth=2).encode(x=when(section, report, width), y="mean:Q")
        return alt.layer(peak, mean)

    return Drawing(
        name="depth",
        title=f"Queue length by {section.columns[0].title.lower()}",
        about=f"The longest, {humanize.number(busiest['peak'])}, was "
        f"{humanize.moment(busiest['peak_at'], report.request.zone)}.",
        wide=svg(draw, WIDE),
        narrow=svg(draw, NARROW),
        legend=(("other", "most at one moment"), ("accent", "on average")),
        section=section,
        columns=("interval_start", "peak", "peak_at", "mean_depth", "longest_waiting_ms"),
    )


def _heatmap(name: str, title: str, words: str) -> Callable[[Report], Drawing]:
    def drawn_(report: Report) -> Drawing:
        section = report.section("cells")
        rows = [row for row in section.rows() if row["offered"]]
        cells = [{"day": row["weekday"][:3], "hour": row["hour"][:2], "value": row[name]} for row in rows]
        most = max(rows, key=lambda row: (row[name] is not None, row[name]))
        domain = [0, 1] if "level" in name else [0, max(cell["value"] or 0 for cell in cells)]
        shade = alt.Opacity("value:Q", legend=None, scale=alt.Scale(range=[0.12, 1], domain=domain))

        def draw(_: int) -> Picture:
            hours = alt.Axis(labelAngle=0, title=None, ticks=False, domain=False, labelOverlap="greedy")
            days = alt.Axis(title=None, ticks=False)
            scale = alt.Scale(domain=[day[:3] for day in WEEKDAYS], paddingInner=0.06)
            x = alt.X("hour:O", axis=hours, scale=alt.Scale(domain=[hour[:2] for hour in HOURS], paddingInner=0.06))
            y = alt.Y("day:O", axis=days, scale=scale)
            chart: alt.Chart = alt.Chart({"values": cells}).mark_rect(color=LINE).encode(x=x, y=y, opacity=shade)
            return chart

        table = report.section(name)
        return Drawing(
            name=name.replace("_", "-"),
            title=title,
            about=f"{words} {most['weekday']}, {most['hour']}. Darker is more; where nobody came there is no cell.",
            wide=svg(draw, WIDE),
            narrow=svg(draw, NARROW),
            legend=(),
            section=table,
            columns=tuple(column.name for column in table.columns),
        )

    return drawn_


def _staffing(report: Report) -> Drawing:
    section = report.section("staffing")
    rows = [row for row in section.rows() if row["level_a"] is not None and row["level_measured"] is not None]
    points = [{"measured": row["level_measured"], "predicted": row["level_a"], "n": row["offered"]} for row in rows]

    def draw(_: int) -> Picture:
        share = alt.Axis(format=".0%", tickCount=5)
        scale = alt.Scale(domain=[0, 1])
        x = alt.X("measured:Q", axis=share, scale=scale, title="measured")
        y = alt.Y("predicted:Q", axis=share, scale=scale, title="predicted by Erlang A")
        size = alt.Size("n:Q", legend=None, scale=alt.Scale(range=[12, 160]))
        dots = alt.Chart({"values": points}).mark_circle(color=LINE, opacity=0.6).encode(x=x, y=y, size=size)
        ends = [{"measured": level, "predicted": level} for level in (0, 1)]
        same = alt.Chart({"values": ends}).mark_line(color=TARGET, strokeDash=[6, 4], strokeWidth=1.5)
        return alt.layer(same.encode(x=x, y=y), dots)

    return Drawing(
        name="staffing",
        title="Service level, predicted and measured",
        about=f"A dot for each of {len(points)} intervals; on the dashed line, Erlang A predicts what was measured.",
        wide=svg(draw, WIDE),
        narrow=svg(draw, NARROW),
        legend=(("target", "as measured"),),
        section=section,
        columns=("queue", "interval_start", "offered", "agents", "level_measured", "level_a", "fit"),
    )


_CHARTS: Mapping[str, Callable[[Report], Drawing]] = {
    "service_level": _service_level,
    "outcomes": _outcomes,
    "waits": _waits,
    "abandonment": _abandonment,
    "depth": _depth,
    "heatmap_offered": _heatmap("offered", "Visits offered", "Most came on a"),
    "heatmap_service_level": _heatmap("service_level", "Service level", "It was best on a"),
    "staffing": _staffing,
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
    if section.columns[0].kind is ValueKind.DATE:
        return f"from {humanize.day(at, zone)}" if _is_longer_than_a_day(section) else f"on {humanize.day(at, zone)}"
    return f"from {humanize.moment(at, zone)}"


def _is_longer_than_a_day(section: Section) -> bool:
    return section.columns[0].title.lower() != Interval.DAY.noun
