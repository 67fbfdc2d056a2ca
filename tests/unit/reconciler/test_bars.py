"""What reconciliation must reach: what Telnyx holds is brought back, the facts are what happened, and nothing twice."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from simulator import (
    TABLES,
    World,
    simulate,
)
from simulator.api import Manners
from tests.support.reconciling import ORIGINAL_SOURCES, Center
from tests.support.worlds import a_world, found, rows

AFTERWARDS = datetime(2026, 3, 2, 18, 20, tzinfo=UTC)


@cache
def a_day() -> World:
    """A busy quarter of an hour, in which everything happens often, and two hours in which little does."""
    return a_world(3)


@pytest.fixture
def center(tmp_path: Path) -> Iterator[Center]:
    opened = Center(tmp_path, AFTERWARDS)
    yield opened
    opened.close()


def at_random(world: World, share: float) -> set[str]:
    rng = random.Random(f"{world.seed}/lost")
    return {event.event_id for event in world.events if rng.random() < share}


def assert_true(center: Center, world: World) -> None:
    for table in TABLES:
        assert found(center.warehouse.db, table) == rows(world.truth, table), table


@pytest.mark.parametrize("share", [0.05, 0.5, 1.0])
def test_webhooks_lost_at_random_are_all_brought_back_and_the_facts_are_what_happened(
    center: Center, share: float
) -> None:
    world = a_day()
    lost = at_random(world, share)
    center.hear(world.events, lost)
    outcomes = center.reconcile(center.account(world, lost))
    assert [each.fault for each in outcomes] == [None] * len(outcomes)
    stored = Counter(row["event_id"] for row in center.warehouse.dicts("events") if row["origin"] == "reconciler")
    originals = {event_id for event_id in stored if not event_id.startswith("observed-")}
    assert originals == lost
    assert set(stored.values()) == {1}
    assert_true(center, world)


def test_a_whole_hour_without_webhooks_is_brought_back(center: Center) -> None:
    world = simulate(a_day().plan, seed=5, start=AFTERWARDS - timedelta(hours=4), duration=timedelta(minutes=70))
    hour = (AFTERWARDS - timedelta(hours=3, minutes=55)).timestamp() * 1e6
    lost = {event.event_id for event in world.events if hour <= event.at < hour + 3.6e9}
    center.hear(world.events, lost)
    center.reconcile(center.account(world, lost))
    assert len(lost) > 1_000
    assert_true(center, world)


def test_a_second_run_publishes_nothing_at_once_and_nothing_but_windows_later(center: Center) -> None:
    world = a_day()
    lost = at_random(world, 0.05)
    center.hear(world.events, lost)
    account = center.account(world, lost)
    center.reconcile(account)
    assert len(center.appended) > len(lost)
    center.reconcile(account)
    assert center.appended == []
    center.reconcile(account, since=timedelta(days=7))
    assert all(b"reconciler.window.completed" in record.body for record in center.appended)
    center.reconcile(account, since=timedelta(days=7))
    assert center.appended == []


def test_every_conference_has_its_duration_and_end_reason_from_records_and_lists_alone(center: Center) -> None:
    world = a_day()
    center.reconcile(center.account(world), Manners(forbidden=ORIGINAL_SOURCES))
    conferences = {row["conference_id"]: row for row in center.warehouse.dicts("conferences")}
    assert len(conferences) == len(world.history.conferences)
    for room in world.history.conferences:
        row = conferences[room.conference_id]
        assert abs(row["duration_ms"] - (room.ended - room.created) / 1000) <= 1_000
        assert (row["end_reason"], row["end_reason_source"]) == (room.end_reason, "rest")
        assert (row["created_at_source"], row["ended_at_source"]) == ("detail_record", "detail_record")
        assert (row["participants"], row["origins"]) == (len(room.stays), "reconciler")
    for row in center.warehouse.dicts("participant_stays"):
        assert row["joined_at_source"] == "detail_record"
        assert row["left_at_source"] in {"detail_record", "conference"}
