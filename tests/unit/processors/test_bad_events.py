"""Bad events: whatever a body holds, it is kept once, understood as far as it can be, and harms nobody else."""

from datetime import timedelta
from pathlib import Path

import pytest

from simulator import Plan, simulate
from tests.support.builders import (
    NOON,
    a_call,
    opened_warehouse,
)
from tests.support.hostile import Hostile, drawn
from tests.support.reading import (
    AmbiguousError,
    expected,
    landed_among,
)

ENQUEUE = a_call().queued(at=NOON).events[0]


def good_bodies(minutes: int) -> list[bytes]:
    world = simulate(Plan.medium(), seed=7, start=NOON, duration=timedelta(minutes=minutes))
    return [event.body for event in world.events]


@pytest.mark.parametrize("seed", [1, 2])
def test_hostile_bodies_are_kept_and_harm_nobody(tmp_path: Path, seed: int) -> None:
    mixed = landed_among(list(drawn(seed, range(150))), good_bodies(10), tmp_path, seed=seed, batch=60)
    assert mixed.faults == []
    assert min(mixed.rejected, mixed.events - mixed.good) > 20, "too few of one kind to show anything"


def test_a_hostile_body_is_the_same_for_the_same_seed_and_number() -> None:
    assert list(drawn(3, range(20, 40))) == list(drawn(3, range(40)))[20:]


def test_a_body_that_does_meddle_with_others_is_found_out(tmp_path: Path) -> None:
    """The check itself can fail."""
    good = [event.body() for event in a_call().queued(at=NOON).answered(after=41)]
    stranger = Hostile("of nobody", a_call("bob").queued(at=NOON).events[0].body())
    meddler = Hostile("of the same leg", ENQUEUE.but(event_id="another").saying(current_position=9).body())
    assert landed_among([stranger], good, tmp_path, seed=1, batch=9).faults == []
    faults = landed_among([meddler], good, tmp_path, seed=1, batch=9).faults
    assert [fault.split(":")[0] for fault in faults] == ["good events", "good calls", "good queue_visits"]


@pytest.mark.parametrize(
    "said",
    [
        "19999-01-01T00:00:00Z",
        "20260-02-03T12:00:00Z",
        "197000-01-01T00:00:00Z",
        "2026-02-03 (BC)",
        "2026-02-03 (BC) 12:00:00",
        "1970-01-01T00:00:00+14:00",
        "2199-12-31T23:59:59-12:00",
    ],
)
def test_an_instant_that_only_looks_like_one_of_ours_is_none(said: str) -> None:
    with opened_warehouse() as warehouse:
        landed = warehouse.land(ENQUEUE.body().replace(b"2026-02-03T12:00:00.000000Z", said.encode()))
        assert (landed.events, landed.rejected) == (1, 0)
        row = warehouse.only("events")
    assert (row["occurred_at"], row["occurred_at_source"]) == (NOON, "received_at")


@pytest.mark.parametrize("said", ["1970-01-01T00:00:00Z", "2199-12-31T23:59:59.999999Z", "2200-01-01T00:00:00+01:00"])
def test_the_first_and_the_last_credible_instants_are_believed(said: str) -> None:
    with opened_warehouse() as warehouse:
        warehouse.land(ENQUEUE.body().replace(b"2026-02-03T12:00:00.000000Z", said.encode()))
        assert warehouse.only("events")["occurred_at_source"] == "occurred_at"


def test_most_hostile_bodies_are_certain_to_a_plain_reader() -> None:
    certain = 0
    for hostile in drawn(4, range(300)):
        try:
            expected(hostile.body)
        except AmbiguousError:
            continue
        certain += 1
    assert certain > 150
