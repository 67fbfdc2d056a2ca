"""The wall clock, less its leaps: what a process believes while its machine's clock is wrong."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdtime.service.steady_clock import (
    BELIEVED_AFTER,
    LEAP,
    SteadyClock,
    elapsed_s,
)
from tests.support.builders import NOON

HOUR = timedelta(hours=1)
OFF = st.sampled_from((-400, -1, 1, 25 / 24, 400)).map(lambda days: timedelta(days=days))


@dataclass
class Machine:
    """Its wall clock is `off` from the time that has passed."""

    passed: timedelta = timedelta(0)
    off: timedelta = timedelta(0)

    @property
    def right(self) -> datetime:
        return NOON + self.passed

    def clock(self) -> SteadyClock:
        return SteadyClock(self._wall, self._elapsed)

    def _wall(self) -> datetime:
        return self.right + self.off

    def _elapsed(self) -> float:
        return self.passed.total_seconds()


def test_a_clock_that_does_not_jump_is_believed() -> None:
    machine = Machine()
    clock = machine.clock()
    for _ in range(5):
        machine.passed += 30 * HOUR
        machine.off += timedelta(seconds=20)  # as a time server corrects it
        assert clock() == machine.right + machine.off
        assert clock.off() <= LEAP


@pytest.mark.parametrize("ahead", [timedelta(minutes=2), 25 * HOUR, timedelta(days=400)])
def test_a_leap_ahead_is_believed_after_an_hour_and_not_sooner(ahead: timedelta) -> None:
    machine = Machine(off=timedelta(0))
    clock = machine.clock()
    machine.passed, machine.off = HOUR, ahead
    assert clock() == machine.right
    assert clock.off() == ahead
    machine.passed += BELIEVED_AFTER - timedelta(seconds=1)
    assert clock() == machine.right
    machine.passed += timedelta(seconds=1)
    assert clock() == machine.right + ahead
    machine.off = timedelta(0)
    assert clock() == machine.right, "set back, it is followed at once"


def test_a_clock_that_is_right_only_after_the_start_is_followed_back_at_once() -> None:
    machine = Machine(off=timedelta(days=400))
    clock = machine.clock()
    machine.passed, machine.off = HOUR, timedelta(0)
    assert clock() == machine.right
    machine.passed += HOUR
    assert clock() == machine.right
    machine.off = 25 * HOUR  # by now it is known how late it is
    assert clock() == machine.right


@given(st.lists(st.tuples(OFF, st.integers(1, 3_000)), max_size=6))
def test_jumps_of_less_than_an_hour_never_put_it_ahead_and_leave_nothing_behind(
    jumps: list[tuple[timedelta, int]],
) -> None:
    machine = Machine()
    clock = machine.clock()
    for off, seconds in jumps:
        machine.off = off
        assert clock() <= machine.right
        machine.passed += timedelta(seconds=seconds)
        assert clock() <= machine.right
        machine.off = timedelta(0)
        assert clock() == machine.right


def test_the_time_that_passes_never_runs_backwards() -> None:
    first = elapsed_s()
    assert elapsed_s() >= first
