"""The rules of METRICS for playbacks and speaks, one hard case each."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.support.builders import (
    CONNECTION,
    NOON,
    Warehouse,
    a_call,
    a_conference,
    opened_warehouse,
)

MUSIC, NEWS = "https://example.com/music.mp3", "https://example.com/news.mp3"


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    with opened_warehouse() as opened:
        yield opened


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def played(warehouse: Warehouse, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in warehouse.dicts("playbacks")]


@pytest.mark.parametrize("backwards", [False, True])
def test_what_a_whole_conference_hears_is_one_row(warehouse: Warehouse, backwards: bool) -> None:
    room = a_conference("room").heard(1, 4.5, media=MUSIC)
    warehouse.land(reversed(list(room)) if backwards else room)
    row = warehouse.only("playbacks")
    assert {name: row[name] for name in row if not name.startswith("entity")} == {
        "playback_id": "room-00",
        "kind": "playback",
        "scope": "conference",
        "conference_id": "room",
        "call_control_id": None,
        "call_leg_id": None,
        "call_session_id": "session-of-host",
        "connection_id": CONNECTION,
        "media_url": MUSIC,
        "media_name": "music.mp3",
        "started_at": NOON + seconds(1),
        "ended_at": NOON + seconds(4.5),
        "duration_ms": 3_500,
        "revision": 2,
        "origins": "webhook",
    }
    assert warehouse.rows("conferences") == [], "what is played in a conference does not make it one"


def test_what_one_participant_hears_is_theirs(warehouse: Warehouse) -> None:
    warehouse.land(a_conference().heard(1, 4, leg="ann").heard(2, 3, leg="bob").heard(2, 9))
    assert played(warehouse, "kind", "scope", "call_leg_id", "call_session_id", "duration_ms") == [
        ("speak", "participant", "ann", "session-of-ann", 3_000),
        ("speak", "participant", "bob", "session-of-bob", 1_000),
        ("speak", "conference", None, "session-of-host", 7_000),
    ]


def test_what_a_call_hears_outside_of_any_conference_counts_too(warehouse: Warehouse) -> None:
    call = a_call("ann", at=NOON).told("call.playback.started", after=1, media_url=MUSIC)
    call.told("call.playback.ended", after=2, media_url=MUSIC, status="completed")
    warehouse.land(call.told("call.speak.started", after=1).told("call.speak.ended", after=4))
    assert played(warehouse, "kind", "scope", "call_leg_id", "media_url", "duration_ms") == [
        ("playback", "call", "ann", MUSIC, 2_000),
        ("speak", "call", "ann", None, 4_000),
    ]
    assert warehouse.rows("calls") == []


def test_media_that_overlap_are_kept_apart(warehouse: Warehouse) -> None:
    warehouse.land(a_conference().heard(1, 9, media=MUSIC).heard(2, 4, media=NEWS).heard(3, 5))
    assert played(warehouse, "media_name", "duration_ms") == [("music.mp3", 8_000), ("news.mp3", 2_000), (None, 2_000)]


def test_the_same_medium_twice_is_two_playbacks(warehouse: Warehouse) -> None:
    warehouse.land(*reversed(list(a_conference().heard(1, 4, media=MUSIC).heard(4, 9, media=MUSIC))))
    assert played(warehouse, "started_at", "duration_ms") == [
        (NOON + seconds(1), 3_000),
        (NOON + seconds(4), 5_000),
    ]


def test_what_nobody_ended_has_no_end_though_the_conference_has(warehouse: Warehouse) -> None:
    warehouse.land(a_conference().created().heard(1, None, media=MUSIC).ended(9))
    assert played(warehouse, "started_at", "ended_at", "duration_ms", "revision") == [
        (NOON + seconds(1), None, None, 3)
    ]


def test_an_end_whose_start_was_lost_has_no_beginning(warehouse: Warehouse) -> None:
    warehouse.land(a_conference().heard(None, 4, media=MUSIC))
    assert played(warehouse, "media_url", "started_at", "ended_at", "duration_ms") == [
        (MUSIC, None, NOON + seconds(4), None)
    ]


def test_a_lost_end_is_not_given_a_time_by_the_next_start(warehouse: Warehouse) -> None:
    warehouse.land(a_conference().heard(1, None, media=MUSIC).heard(5, 8, media=MUSIC))
    assert played(warehouse, "started_at", "duration_ms") == [(NOON + seconds(1), None), (NOON + seconds(5), 3_000)]


def test_an_end_before_its_start_ends_nothing(warehouse: Warehouse) -> None:
    warehouse.land(a_conference().heard(5, 2))
    assert played(warehouse, "started_at", "ended_at", "duration_ms") == [
        (NOON + seconds(5), None, None),
        (None, NOON + seconds(2), None),
    ]


def test_what_is_played_in_a_conference_that_nobody_names_is_no_playback(warehouse: Warehouse) -> None:
    warehouse.land([event.without("conference_id") for event in a_conference().heard(1, 2, leg="ann").heard(1, 2)])
    assert warehouse.rows("playbacks") == []


@pytest.mark.parametrize("media", [17, ["a"], {"b": 1}, None])
def test_media_of_a_wrong_type_are_still_one_playback(warehouse: Warehouse, media: Any) -> None:
    warehouse.land([event.saying(media_url=media) for event in a_conference().heard(1, 2, media=MUSIC)])
    assert played(warehouse, "duration_ms", "media_name") == [(1_000, "music.mp3")]


def test_what_is_played_changes_nothing_about_the_conference(warehouse: Warehouse) -> None:
    room = a_conference().created().joined("ann", 1).left("ann", 5).ended(5).heard(2, 3, media=MUSIC).heard(2, 4)
    warehouse.land(list(room)[:4])
    before = warehouse.only("conferences")
    landed = warehouse.land(list(room)[4:])
    assert (landed.facts["playbacks"], landed.facts["conferences"]) == (2, 1)
    assert warehouse.only("conferences") == before | {"revision": before["revision"] + 4}
