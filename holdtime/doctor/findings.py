"""The doctor's findings, for people and for machines."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from holdtime.doctor.checks import Check, Severity
from holdtime.doctor.doctor import Examination
from holdtime.doctor.open_work import OpenWork
from reports import humanize

_MARKS = {Severity.OK: ("✓", "green"), Severity.NOTE: ("•", "yellow"), Severity.FAILED: ("✗", "bold red")}


def as_json(found: Examination) -> str:
    """Everything that was found; instants in UTC, ages in milliseconds."""
    return json.dumps(
        {
            "ok": not found.failed,
            "at": found.at.isoformat(),
            "checks": [
                {"name": check.name, "verdict": check.verdict, "found": check.found, "do": check.do or None}
                for check in found.checks
            ],
            "open_work": {
                kind.name.replace(" ", "_"): {
                    "count": kind.count,
                    "meaning": kind.meaning,
                    "do": kind.do,
                    "oldest": [
                        {
                            "id": humanize.cut(item.id),
                            "where": item.where and humanize.cut(item.where),
                            "call_session_id": item.call_session_id and humanize.cut(item.call_session_id),
                            "since": item.since.isoformat(),
                            "age_ms": _age_ms(item.since, found.at),
                            "last_event": item.last_event and humanize.cut(item.last_event),
                            "last_heard_at": item.last_heard_at and item.last_heard_at.isoformat(),
                        }
                        for item in kind.oldest
                    ],
                }
                for kind in found.open_work
            },
        },
        indent=2,
    )


def renderable(found: Examination) -> RenderableType:
    """The checks, then what is open; times in the configured zone."""
    parts: list[RenderableType] = [line for check in found.checks for line in _check(check)]
    for kind in found.open_work:
        parts += _kind(kind, found.at, ZoneInfo(found.timezone))
    return Group(*parts)


def _check(check: Check) -> Iterator[Text]:
    mark, style = _MARKS[check.verdict]
    yield Text.assemble((mark, style), f" {check.name:<13} ", humanize.plain(check.found))
    if check.do:
        yield Text(f"{'':<16}-> {check.do}", style="dim")


def _kind(kind: OpenWork, now: datetime, zone: ZoneInfo) -> Iterator[RenderableType]:
    if not kind.count:
        yield Text.assemble(_MARKS[Severity.OK], f" {kind.name}: none")
        return
    yield Text.assemble(_MARKS[Severity.NOTE], (f" {kind.count:,} {kind.name}", "bold"), f": {kind.meaning}")
    yield Text(f"  -> {kind.do}", style="dim")
    table = Table(f"Since, {zone.key}", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Age", justify="right", no_wrap=True)
    for name in ("Where", "Session", "Last heard"):
        table.add_column(name, overflow="fold")
    for item in kind.oldest:
        heard = ""
        if item.last_event is not None and item.last_heard_at is not None:
            heard = f"{humanize.name(item.last_event)}, {humanize.age(_age_ms(item.last_heard_at, now))} ago"
        table.add_row(
            humanize.moment(item.since.replace(microsecond=0), zone),
            humanize.age(_age_ms(item.since, now)),
            Text(humanize.name(item.where or "")),
            Text(humanize.name(item.call_session_id or "")),
            Text(heard or "nothing", style="" if heard else "dim"),
        )
    yield table
    if kind.count > len(kind.oldest):
        yield Text(f"and {kind.count - len(kind.oldest):,} younger ones", style="dim")


def _age_ms(since: datetime, now: datetime) -> int:
    return max(0, (now - since) // timedelta(milliseconds=1))
