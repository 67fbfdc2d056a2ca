"""With the lists of conferences and queues alone, what can be known is right, and no time is one that nobody said."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from simulator import TABLES, World
from simulator.api import Manners
from tests.support.reconciling import Center
from tests.support.worlds import a_world, found, rows

AFTERWARDS = datetime(2026, 3, 2, 18, 20, tzinfo=UTC)
OTHERS = frozenset({"webhook_deliveries", "call_events", "detail_records", "recordings"})
ENDINGS = ("call.dequeued", "call.hangup", "conference.ended", "conference.participant.left")

LOSSES: dict[str, Callable[[World], set[str]]] = {
    "endings": lambda world: {event.event_id for event in world.events if event.event_type in ENDINGS},
    "beginnings": lambda world: {
        event.event_id for event in world.events if event.event_type in {"call.enqueued", "conference.created"}
    },
    "a third": lambda world: {event.event_id for event in world.events if random.Random(event.event_id).random() < 0.3},
    "everything": lambda world: {event.event_id for event in world.events},
}

_PLAYED = ("call.playback", "call.speak", "conference.playback", "conference.speak")
_OF_PARTICIPANTS = ("conference.participant.playback", "conference.participant.speak")
TOLD_BY = {
    ("queue_visits", "enqueued_at"): ("call.enqueued",),
    ("queue_visits", "left_at"): ("call.dequeued", "call.hangup"),
    ("conferences", "created_at"): ("conference.created",),
    ("conferences", "ended_at"): ("conference.ended",),
    ("participant_stays", "joined_at"): ("conference.participant.joined",),
    ("participant_stays", "left_at"): ("conference.participant.left", "conference.ended"),
    ("calls", "initiated_at"): ("call.initiated",),
    ("calls", "answered_at"): ("call.answered",),
    ("calls", "bridged_at"): ("call.bridged",),
    ("calls", "ended_at"): ("call.hangup",),
    ("playbacks", "started_at"): tuple(f"{each}.started" for each in (*_PLAYED, *_OF_PARTICIPANTS)),
    ("playbacks", "ended_at"): tuple(f"{each}.ended" for each in (*_PLAYED, *_OF_PARTICIPANTS)),
}
"""Which webhooks a fact's time may come from: those of its own leg or conference."""

DURATIONS = {
    "queue_visits": ("in_queue_ms", "enqueued_at", "left_at"),
    "conferences": ("duration_ms", "created_at", "ended_at"),
    "participant_stays": ("duration_ms", "joined_at", "left_at"),
    "playbacks": ("duration_ms", "started_at", "ended_at"),
    "recordings": ("duration_ms", "started_at", "ended_at"),
}


@dataclass
class Judge:
    """Knows what happened, and what of it was heard."""

    world: World
    lost: set[str]

    def __post_init__(self) -> None:
        heard = [event for event in self.world.events if event.event_id not in self.lost]
        self.heard = {(event.event_type, of, event.at) for event in heard for of in (event.leg_id, event.conference_id)}
        self.rooms = {room.conference_id: room for room in self.world.history.conferences}

    def assert_told(self, table: str, row: dict[str, Any]) -> None:
        """Every time of the row is one that somebody told of its leg or conference, or is marked as something else."""
        for (of, name), types in TOLD_BY.items():
            if of == table and row[name] is not None and not self._is_marked(table, name, row):
                keys = (row.get("call_leg_id"), row.get("conference_id"))
                told = {(each, key, micros(row[name])) for each in types for key in keys if key is not None}
                assert told & self.heard, (table, name, row)

    def _is_marked(self, table: str, name: str, row: dict[str, Any]) -> bool:
        """Whether the time is from a list, or worked out from Telnyx's own seconds, and says so; then it is right."""
        if (table, name) == ("conferences", "created_at") and row["created_at_source"] == "rest":
            assert micros(row[name]) == self.rooms[row["conference_id"]].created
            return True
        if (table, name) != ("queue_visits", "enqueued_at") or row["enqueued_at_source"] == "observed":
            return False
        enqueued = [
            visit.enqueued
            for visit in self.world.history.visits
            if (visit.leg.leg_id, visit.queue) == (row["call_leg_id"], row["queue"])
        ]
        off = 1_000 if row["enqueued_at_source"] == "rest" else 1_000_000
        assert row["enqueued_at_source"] in {"rest", "reported"}
        assert min(abs(micros(row[name]) - at) for at in enqueued) < off, row
        return True

    def assert_measured(self, table: str, row: dict[str, Any]) -> None:
        """Durations are those between the row's own times, and there is none where one of these is missing."""
        if table in DURATIONS:
            duration, begin, end = (row[name] for name in DURATIONS[table])
            known = begin is not None and end is not None
            assert duration == (micros(end) // 1000 - micros(begin) // 1000 if known else None), (table, row)

    def assert_bounded(self, table: str, row: dict[str, Any]) -> None:
        """What is over and has no end was over by the bound that it has."""
        if table == "conferences" and row["ended_at_latest"] is not None:
            assert row["ended_at"] is None
            assert micros(row["ended_at_latest"]) >= self.rooms[row["conference_id"]].ended
        if table == "queue_visits" and row["left_at_latest"] is not None:
            assert (row["left_at"], row["wait_ms"]) == (None, None)
            assert row["outcome"] == "unknown" or (row["outcome"], row["answer_confirmed"]) == ("answered", True)
            lefts = [
                visit.left
                for visit in self.world.history.visits
                if visit.visit_id == row["visit_id"] or visit.leg.leg_id == row["call_leg_id"]
            ]
            assert min(lefts) <= micros(row["left_at_latest"]) <= micros(AFTERWARDS)


@pytest.fixture
def center(tmp_path: Path) -> Iterator[Center]:
    opened = Center(tmp_path, AFTERWARDS)
    yield opened
    opened.close()


@pytest.mark.parametrize("loss", LOSSES)
def test_every_time_was_told_or_is_marked_and_what_was_heard_is_right(center: Center, loss: str) -> None:
    world = a_world(3)
    lost = LOSSES[loss](world)
    judge = Judge(world, lost)
    center.hear(world.events, lost)
    outcomes = center.reconcile(center.account(world, lost), Manners(forbidden=OTHERS))
    assert {each.source for each in outcomes if each.fault} == OTHERS
    for table in TABLES:
        for row in center.warehouse.dicts(table):
            judge.assert_told(table, row)
            judge.assert_measured(table, row)
            judge.assert_bounded(table, row)
    arrived = {event.event_id for event in world.events} - lost
    intact = world.truth.intact(world.events, arrived)
    for table in TABLES:
        there = found(center.warehouse.db, table)
        assert not [row for row in rows(intact, table) if row not in there], table
    listed = {row["conference_id"]: row for row in center.warehouse.dicts("conferences")}
    assert listed.keys() == judge.rooms.keys()
    for room in world.history.conferences:
        row = listed[room.conference_id]
        assert (row["status"], row["end_reason"], micros(row["created_at"])) == (
            "completed",
            room.end_reason,
            room.created,
        )


def test_who_waits_now_waits_since_the_queue_says_and_longer_than_nobody(center: Center) -> None:
    world = a_world(3)
    visits = world.history.visits
    now = max((visit.enqueued for visit in visits), key=lambda at: sum(v.enqueued <= at < v.left for v in visits))
    center.at = since(now)
    so_far = [event for event in world.events if event.at <= now]
    lost = {event.event_id for event in so_far if event.event_type == "call.enqueued"}
    center.hear(so_far, lost)
    center.reconcile(center.account(world, lost), Manners(forbidden=OTHERS))
    waiting = {visit.leg.leg_id: visit for visit in visits if visit.enqueued <= now < visit.left}
    seen = {row["call_leg_id"]: row for row in center.warehouse.dicts("queue_visits") if row["outcome"] == "waiting"}
    assert seen.keys() == waiting.keys()
    assert seen
    for leg_id, row in seen.items():
        assert timedelta(0) <= since(waiting[leg_id].enqueued) - row["enqueued_at"] < timedelta(milliseconds=1)
        assert (row["enqueued_at_source"], row["left_at"], row["wait_ms"]) == ("rest", None, None)


def since(at: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)


def micros(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
