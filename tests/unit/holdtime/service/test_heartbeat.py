"""When nobody took webhooks is told afterwards, once, and never of time in which somebody did."""

import asyncio
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, cast

import pytest

from eventlog.log import (
    Log,
    LogUnavailableError,
    Record,
)
from holdtime.service.heartbeat import keep_beating
from reconciler.outage import MIN_OUTAGE, between
from tests.support.builders import NOON

MINUTE = timedelta(minutes=1)


class Place:
    """A liveness topic and a log, in memory; what is away raises."""

    def __init__(self, told: datetime | None = None) -> None:
        self.told = told
        self.away = False
        self.unavailable: str | None = None
        self.down: list[tuple[datetime, datetime]] = []

    async def last(self) -> datetime | None:
        self._require()
        return self.told

    async def beat(self, now: datetime) -> None:
        self._require()
        self.told = now

    async def append(self, record: Record) -> None:
        self._require()
        said = json.loads(record.body)["data"]["payload"]
        self.down.append((datetime.fromisoformat(said["start"]), datetime.fromisoformat(said["end"])))

    def _require(self) -> None:
        if self.away:
            raise LogUnavailableError("away")


class _EndError(Exception):
    pass


def told(
    place: Place, *moments: tuple[datetime, dict[str, Any]], jump: timedelta = timedelta(0)
) -> list[tuple[datetime, datetime]]:
    """What is told by an ingest that looks at these moments, at each of which the place is as said.

    After the first its wall clock is off by `jump`.
    """
    passed: list[datetime] = []

    def elapsed() -> float:
        return passed[-1].timestamp()

    def clock() -> Iterator[datetime]:
        for at, how in moments:
            for name, value in how.items():
                setattr(place, name, value)
            passed.append(at)
            yield at + jump if len(passed) > 1 else at
        raise _EndError

    ticks = clock()
    telling = keep_beating(place, cast("Log", place), clock=lambda: next(ticks), elapsed=elapsed, every_s=0)
    with pytest.raises((_EndError, RuntimeError)):
        asyncio.run(telling)
    return place.down


def test_the_first_one_ever_tells_of_no_outage() -> None:
    assert told(Place(), (NOON, {}), (NOON + MINUTE, {})) == []


def test_one_that_comes_after_a_time_without_any_tells_that_time_once() -> None:
    place = Place(NOON)
    assert told(place, (NOON + 9 * MINUTE, {}), (NOON + 10 * MINUTE, {})) == [(NOON, NOON + 9 * MINUTE)]
    assert told(place, (NOON + 10 * MINUTE + MIN_OUTAGE / 2, {})) == [(NOON, NOON + 9 * MINUTE)]


def test_one_that_is_joined_by_another_tells_nothing() -> None:
    assert told(Place(NOON), (NOON + MINUTE, {})) == []


def test_what_cannot_be_told_is_told_later() -> None:
    away = {"away": True, "unavailable": "away"}
    back = {"away": False, "unavailable": None}
    found = told(Place(NOON), (NOON + 9 * MINUTE, away), (NOON + 12 * MINUTE, back))
    assert found == [(NOON, NOON + 12 * MINUTE)]


def test_time_in_which_a_spool_took_webhooks_is_no_outage() -> None:
    moments = [(NOON + nth * MINUTE, {"away": 0 < nth < 30}) for nth in range(31)]
    assert all(later - earlier < MIN_OUTAGE for (earlier, _), (later, _) in pairwise(moments))
    assert told(Place(NOON), *moments) == []


def test_a_process_that_was_stopped_for_a_while_tells_of_that_while_unless_another_was_there() -> None:
    assert told(Place(), (NOON, {}), (NOON + 20 * MINUTE, {})) == [(NOON, NOON + 20 * MINUTE)]
    there = {"told": NOON + 19 * MINUTE}
    assert told(Place(), (NOON, {}), (NOON + 20 * MINUTE, there)) == []


@pytest.mark.parametrize("days", [-400, -1, 1, 400])
def test_a_clock_that_jumps_makes_no_outage(days: int) -> None:
    moments: list[tuple[datetime, dict[str, Any]]] = [(NOON + nth * MINUTE / 2, {}) for nth in range(4)]
    assert told(Place(), *moments, jump=timedelta(days=days)) == []


def test_a_clock_that_is_years_ahead_on_start_makes_no_outage() -> None:
    assert between(NOON, NOON + timedelta(days=400)) is None
    assert between(NOON, NOON + timedelta(days=30)) is not None
