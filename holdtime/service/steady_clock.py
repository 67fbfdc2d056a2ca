"""The wall clock, less the leaps that it makes while this process runs."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog

LEAP = timedelta(minutes=1)
"""A clock that is corrected by less is followed at once."""

BELIEVED_AFTER = timedelta(hours=1)
"""How long a clock must have been off before it is believed: a machine that was suspended is right, too."""

log = structlog.get_logger("clock")


def elapsed_s() -> float:
    """Seconds of a clock that nobody sets; where the system can say so, with those in which it was suspended."""
    try:
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    except (AttributeError, OSError):
        return time.monotonic()


@dataclass(slots=True)
class SteadyClock:
    """Says the wall clock's time; where that leaps ahead, the time that has passed since, for an hour.

    A clock that goes back is followed at once: nothing that is done by this clock is done too early by that. For any
    number of threads. `elapsed` gives seconds of a clock that nobody sets.
    """

    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    elapsed: Callable[[], float] = elapsed_s
    _base: tuple[datetime, float] = field(init=False)
    _off_since: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._base = (self.wall(), self.elapsed())

    def __call__(self) -> datetime:
        """The time."""
        with self._lock:
            wall, elapsed, off = self._read()
            if abs(off) <= LEAP:
                self._off_since = None
                self._base = (max(wall, wall - off), elapsed)  # a clock that is set back a little stays bounded
                return wall
            if self._off_since is None:
                self._off_since = elapsed
                log.warning("clock_leapt", off_s=round(off.total_seconds()), wall=wall.isoformat(timespec="seconds"))
            if timedelta(seconds=elapsed - self._off_since) >= BELIEVED_AFTER:
                log.warning("clock_believed", off_s=round(off.total_seconds()))
                self._base, self._off_since = (wall, elapsed), None
                return wall
            return min(wall, wall - off)

    def off(self) -> timedelta:
        """How far the wall clock is ahead of what has passed by the other one."""
        with self._lock:
            return self._read()[2]

    def _read(self) -> tuple[datetime, float, timedelta]:
        wall, elapsed = self.wall(), self.elapsed()
        began, began_elapsed = self._base
        return wall, elapsed, wall - (began + timedelta(seconds=elapsed - began_elapsed))
