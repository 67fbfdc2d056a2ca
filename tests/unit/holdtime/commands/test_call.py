"""One call as a timeline: found by whatever id somebody has, complete, in order, and harmless to the screen."""

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from holdtime.commands.call import (
    Timeline,
    as_json,
    find,
    renderable,
)
from tests.support.builders import (
    NOON,
    Warehouse,
    a_call,
    a_conference,
    opened_warehouse,
)
from warehouse.catalog import describe

EVENTS_OF_ANN = [
    "call.initiated",
    "call.enqueued",
    "call.dequeued",
    "call.bridged",
    "conference.participant.joined",
    "conference.participant.left",
    "call.hangup",
]
FACTS_OF_ANN = [
    *(f"{fact} {bound}" for fact in ("leg", "visit", "conference", "stay") for bound in ("began", "ended")),
]


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    with opened_warehouse() as opened:
        describe(opened.db)
        opened.land(
            a_call("ann").initiated(at=NOON).queued(after=1).answered(after=41).talked(300),
            a_call("bob").queued(at=NOON).abandoned(after=9),
            a_conference(creator="host").created(50).joined("ann", 51).joined("host", 52).left("ann", 60).ended(90),
            received=NOON + timedelta(minutes=10),
        )
        yield opened


def found(warehouse: Warehouse, asked: str) -> Timeline:
    timeline = find(warehouse.db, asked)
    assert timeline is not None
    return timeline


def on_screen(timeline: Timeline, zone: str = "UTC") -> str:
    console = Console(file=io.StringIO(), width=200, force_terminal=True, color_system="standard", _environ={})
    console.print(renderable(timeline, ZoneInfo(zone)))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_session_has_its_events_and_facts_and_what_concerns_its_conferences_as_a_whole(warehouse: Warehouse) -> None:
    timeline = found(warehouse, "session-of-ann")
    assert timeline.found_as == "session"
    assert sorted(entry.what for entry in timeline.entries if entry.kind == "event") == sorted(EVENTS_OF_ANN)
    assert sorted(entry.what for entry in timeline.entries if entry.kind == "fact") == sorted(FACTS_OF_ANN)
    moments = [entry.moment_us for entry in timeline.entries]
    assert moments == sorted(moments)


@pytest.mark.parametrize("leg", ["ann", "v3:ann"])
def test_a_leg_brings_its_whole_session(warehouse: Warehouse, leg: str) -> None:
    timeline = found(warehouse, leg)
    assert timeline.found_as == "leg"
    assert timeline.entries == found(warehouse, "session-of-ann").entries


def test_a_leg_that_named_no_session_is_found_all_the_same(warehouse: Warehouse) -> None:
    warehouse.land(*(event.without("call_session_id") for event in a_call("cy").queued(at=NOON).abandoned(after=2)))
    timeline = found(warehouse, "cy")
    assert (timeline.found_as, {entry.leg for entry in timeline.entries}) == ("leg", {"cy"})
    assert "visit ended" in [entry.what for entry in timeline.entries]


def test_a_conference_brings_everybody_in_it(warehouse: Warehouse) -> None:
    timeline = found(warehouse, "room")
    assert timeline.found_as == "conference"
    assert {entry.leg for entry in timeline.entries} == {None, "ann", "host"}
    assert {entry.conference_id for entry in timeline.entries} == {"room"}


def test_recordings_and_what_was_played_are_in_it(warehouse: Warehouse) -> None:
    room = a_conference("second", creator="dan").created().joined("dan", 1).recorded(2, 8)
    warehouse.land(room.heard(3, 5, leg="dan", media="https://example.com/hold.mp3").heard(6, 7))
    whats = [entry.what for entry in found(warehouse, "session-of-dan").entries if entry.kind == "fact"]
    assert whats == [
        "conference began",
        "stay began",
        "recording began",
        "playback began",
        "playback ended",
        "speak began",
        "speak ended",
        "recording ended",
    ]


def test_of_two_contents_of_one_id_only_the_one_that_counts_is_in_it(warehouse: Warehouse) -> None:
    (told,) = a_call("eve").queued(at=NOON)
    warehouse.land(told, told.saying(queue="another"))
    entries = [entry for entry in found(warehouse, "eve").entries if entry.kind == "event"]
    assert len(entries) == 1


@pytest.mark.parametrize("asked", ["nobody", "", "' or true --", "%"])
def test_what_nobody_has_heard_of_is_not_found(warehouse: Warehouse, asked: str) -> None:
    assert find(warehouse.db, asked) is None


def test_gaps_add_up_to_the_length_of_the_call(warehouse: Warehouse) -> None:
    timeline = found(warehouse, "session-of-ann")
    first, *gaps = timeline.gaps()
    assert first is None
    assert sum(gap for gap in gaps if gap is not None) == 342_000
    assert len(gaps) + 1 == len(timeline.entries)


def test_an_entry_says_where_it_came_from_and_how_late(warehouse: Warehouse) -> None:
    entries = json.loads(as_json(found(warehouse, "session-of-ann")))["entries"]
    enqueued = next(entry for entry in entries if entry["what"] == "call.enqueued")
    assert (enqueued["origin"], enqueued["verified"], enqueued["occurred_at_source"]) == (
        "webhook",
        True,
        "occurred_at",
    )
    assert enqueued["late_ms"] == 599_000
    assert enqueued["moment"] == "2026-02-03T12:00:01+00:00"
    ended = next(entry for entry in entries if entry["what"] == "visit ended")
    assert (ended["origin"], ended["late_ms"], ended["gap_ms"]) == (None, None, 0)
    assert ended["details"] == {"outcome": "answered", "wait_ms": 41_000, "in_queue_ms": 41_000, "position": 1}


def test_an_event_without_a_time_of_its_own_is_not_late_and_says_so(warehouse: Warehouse) -> None:
    warehouse.land(a_call("dan").queued(at=NOON).events[0].but(at=None))
    (entry, _) = found(warehouse, "dan").entries
    assert entry.late_ms is None
    assert "time of receipt" in on_screen(found(warehouse, "dan"))


def test_times_are_shown_in_the_zone_asked_for(warehouse: Warehouse) -> None:
    shown = on_screen(found(warehouse, "session-of-bob"), "Asia/Kolkata")
    assert "2026-02-03 17:30:00.000" in shown
    assert "times in Asia/Kolkata" in shown


def test_texts_from_outside_cannot_drive_the_screen(warehouse: Warehouse) -> None:
    hostile = "\x1b[2J\u202e[red]\a"
    said = a_call("eve", session=f"s{hostile}").queued(at=NOON, queue=hostile).dequeued(hostile, after=1)
    warehouse.land(said, said.events[0].but(event_id="x", event_type=f"call.{hostile}"))
    timeline = found(warehouse, f"s{hostile}")
    shown = on_screen(timeline)
    assert "\x1b[2J" not in shown
    assert not {"\u202e", "\a"} & set(shown)
    assert "\\x1b[2J\\u202e[red]\\x07" in shown
    assert as_json(timeline).isascii()


def test_a_long_text_is_cut_on_the_screen_and_for_machines(warehouse: Warehouse) -> None:
    long = "x" * 100_000
    warehouse.land(a_call("eve", session=long).queued(at=NOON, queue=long).dequeued(long, after=1))
    timeline = found(warehouse, long)
    assert len(on_screen(timeline)) < 10_000
    assert len(as_json(timeline)) < 10_000
    assert "[100,000 characters, " in on_screen(timeline)
