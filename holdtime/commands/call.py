"""`holdtime call`: the timeline of one call, of all its events and facts."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from reports import humanize
from warehouse.instants import instant

LATE_MS = 60_000
"""A webhook that came later than this after what it tells of was retried or fetched: worth a colour."""

_COLORS = {
    "answered": "green",
    "abandoned": "red",
    "failed_bridge": "red",
    "unknown": "yellow",
    "waiting": "yellow",
}

_SESSIONS_OF_LEG = """
select distinct call_session_id
from stored_events
where call_leg_id = $id or call_control_id = $id
"""

_OF_SESSIONS = """
call_session_id in (from sessions)
or (
    -- what concerns a conference as a whole belongs to everybody who was in it
    leg is null
    and conference_id in (
        select conference_id from stored_events where call_session_id in (from sessions)
    )
)
"""

_READ = """
with sessions as (
    select unnest($sessions::varchar[]) as call_session_id
)
select
    epoch_us(moment),
    kind,
    what,
    call_session_id,
    leg,
    conference_id,
    queue,
    details::varchar,
    origin,
    verified,
    epoch_us(received_at),
    occurred_at_source,
    event_id
from call_timeline
where {which}
order by moment, kind, received_at, what, leg, event_id
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a timeline: an event, or the beginning or the end of a fact. Times in Unix microseconds."""

    moment_us: int
    kind: str
    what: str
    call_session_id: str | None
    leg: str | None
    conference_id: str | None
    queue: str | None
    details: dict[str, Any]
    origin: str | None
    verified: bool | None
    received_us: int | None
    occurred_at_source: str | None
    event_id: str | None

    @property
    def late_ms(self) -> int | None:
        """From the event to its receipt, below 0 where a clock was off; None for facts and undated events."""
        if self.received_us is None or self.occurred_at_source == "received_at":
            return None
        return self.received_us // 1000 - self.moment_us // 1000


@dataclass(frozen=True, slots=True)
class Timeline:
    """What is known of the call, in the order in which it happened. `found_as`: session, leg or conference."""

    asked: str
    found_as: str
    entries: tuple[Entry, ...]

    def gaps(self) -> Iterator[int | None]:
        """For each entry the milliseconds since the one before it; None for the first."""
        yield None
        for one, next_one in pairwise(self.entries):
            yield next_one.moment_us // 1000 - one.moment_us // 1000


def find(db: duckdb.DuckDBPyConnection, asked: str) -> Timeline | None:
    """Return the timeline of the call with that session, leg or conference id, or None where nobody has heard of it.

    A leg brings its whole session; a session what concerns its conferences as a whole; a conference everybody in it.
    """
    legs_sessions = [session for (session,) in db.execute(_SESSIONS_OF_LEG, {"id": asked}).fetchall() if session]
    for found_as, which, values in (
        ("session", _OF_SESSIONS, {"sessions": [asked]}),
        ("leg", _OF_SESSIONS, {"sessions": legs_sessions}),
        ("leg", "leg = $id", {"sessions": [], "id": asked}),
        ("conference", "conference_id = $id", {"sessions": [], "id": asked}),
    ):
        rows = db.execute(_READ.format(which=which), values).fetchall()
        if rows:
            return Timeline(asked, found_as, tuple(Entry(*(*row[:7], json.loads(row[7]), *row[8:])) for row in rows))
    return None


def as_json(timeline: Timeline) -> str:
    """The timeline for machines: instants in UTC, durations in milliseconds, long texts cut."""
    entries = [
        {
            "moment": instant(entry.moment_us).isoformat(),
            "gap_ms": gap,
            "kind": entry.kind,
            "what": entry.what,
            "call_session_id": entry.call_session_id,
            "leg": entry.leg,
            "conference_id": entry.conference_id,
            "queue": entry.queue,
            "details": entry.details,
            "origin": entry.origin,
            "verified": entry.verified,
            "received_at": None if entry.received_us is None else instant(entry.received_us).isoformat(),
            "late_ms": entry.late_ms,
            "occurred_at_source": entry.occurred_at_source,
            "event_id": entry.event_id,
        }
        for entry, gap in zip(timeline.entries, timeline.gaps(), strict=True)
    ]
    # ASCII only, so that no text from outside can drive a terminal
    document = {"asked": timeline.asked, "found_as": timeline.found_as, "entries": entries}
    return json.dumps(humanize.cut_all(document), indent=2)


def renderable(timeline: Timeline, zone: ZoneInfo) -> RenderableType:
    """The timeline for people, in their zone. Legs and conferences are lettered, and spelt out below."""
    legs = _lettered([entry.leg for entry in timeline.entries], "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    rooms = _lettered([entry.conference_id for entry in timeline.entries], "123456789")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, justify in (("Time", "right"), ("Gap", "right"), ("What", "left"), ("Leg", "left")):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for name in ("Where", "Details", "Came from"):
        table.add_column(name, overflow="fold")
    table.add_column("Late", justify="right", no_wrap=True)
    day = None
    for entry, gap in zip(timeline.entries, timeline.gaps(), strict=True):
        at = instant(entry.moment_us).astimezone(zone)
        table.add_row(
            f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03}"
            if at.date() != day
            else f"{at:%H:%M:%S}.{at.microsecond // 1000:03}",
            Text("" if not gap else f"+{humanize.duration(gap)}", style="dim"),
            _what(entry),
            legs.get(entry.leg or "", ""),
            _where(entry, rooms),
            Text(", ".join(_detail(name, value) for name, value in entry.details.items())),
            _came_from(entry),
            _late(entry),
        )
        day = at.date()
    title = Text(f"The call of {timeline.found_as} {humanize.name(timeline.asked)}, times in {zone.key}", style="bold")
    return Group(title, table, *_legend("leg", legs), *_legend("conference", rooms))


def _lettered(ids: Sequence[str | None], letters: str) -> dict[str, str]:
    """A short name for each id, in the order in which they appear."""
    names: dict[str, str] = {}
    for each in ids:
        if each is not None and each not in names:
            rounds, letter = divmod(len(names), len(letters))
            names[each] = letters[letter] + (str(rounds + 1) if rounds else "")
    return names


def _legend(of: str, names: dict[str, str]) -> list[Text]:
    return [Text(f"{of} {name}  {humanize.name(each)}", style="dim") for each, name in names.items()]


def _what(entry: Entry) -> Text:
    if entry.kind == "event":
        return Text(humanize.name(entry.what))
    color = _COLORS.get(entry.details.get("outcome", ""), "cyan")
    return Text(entry.what, style=f"bold {color}")


def _where(entry: Entry, rooms: dict[str, str]) -> Text:
    named = [] if entry.queue is None else [humanize.name(entry.queue) or '""']
    if entry.conference_id is not None:
        named.append(f"conference {rooms[entry.conference_id]}")
    return Text(", ".join(named))


def _detail(name: str, value: Any) -> str:
    if name.endswith("_ms") and isinstance(value, int):
        return f"{name.removesuffix('_ms').replace('_', ' ')} {humanize.duration(value)}"
    return f"{name.replace('_', ' ')} {humanize.name(str(value))}"


def _came_from(entry: Entry) -> Text:
    if entry.kind == "fact":
        return Text("derived", style="dim")
    said = Text(entry.origin or "", style="" if entry.verified else "yellow")
    if not entry.verified:
        said.append(", unverified")
    if entry.occurred_at_source == "received_at":
        said.append(", time of receipt", style="yellow")
    return said


def _late(entry: Entry) -> Text:
    if entry.late_ms is None:
        return Text("")
    # Below zero: the webhook came before its event, so a clock is off.
    odd = entry.late_ms > LATE_MS or entry.late_ms < 0
    text = humanize.duration(abs(entry.late_ms))
    return Text(f"-{text}" if entry.late_ms < 0 else text, style="yellow" if odd else "dim")
