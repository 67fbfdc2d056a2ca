"""Windows of time: which were read to their end, and where to go on.

A window ends on a whole hour. That one was read is an event of our own in the log, so the position lies where the
answers lie, and a process that is killed goes on from the last window that is known to be complete.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from reconciler.found import FoundEvent, observed

HOUR = timedelta(hours=1)
OVERLAP = timedelta(hours=2)
"""So much is read again each time, to find events that Telnyx lists late."""
SETTLED = timedelta(minutes=15)
"""A window that ended less long ago may still get entries: it is read, and not called complete."""
FIRST = timedelta(hours=24)
"""How far back to read where nothing was read before."""
LONGEST_GAP = timedelta(days=30)
EVENT_TYPE = "reconciler.window.completed"


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """What lies in `[start, end)`."""

    start: datetime
    end: datetime

    def completed(self, source: str) -> FoundEvent:
        """Return the event that says the source was read to its end, for this window."""
        said = {"source": source, "start": _iso(self.start), "end": _iso(self.end)}
        return observed(EVENT_TYPE, self.start, said)


def floor(at: datetime) -> datetime:
    """The whole hour before."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def merged(windows: Iterable[Window]) -> list[Window]:
    """The same time in windows that do not touch, in order."""
    joined: list[Window] = []
    for window in sorted(windows):
        if joined and window.start <= joined[-1].end:
            joined[-1] = Window(joined[-1].start, max(joined[-1].end, window.end))
        else:
            joined.append(window)
    return joined


def begin(complete: Iterable[Window], *, now: datetime, since: timedelta | None) -> datetime:
    """Where to begin reading: `since` ago, else a little before the first gap in what is complete, else a day ago."""
    if since is not None:
        return floor(now - since)
    recent = [window for window in merged(complete) if window.end > now - LONGEST_GAP]
    return max(recent[0].start, recent[0].end - OVERLAP) if recent else floor(now - FIRST)


def cut(start: datetime, now: datetime) -> Iterator[Window]:
    """The hours from `start` to `now`, the last of them unfinished."""
    while start < now:
        yield Window(start, min(start + HOUR, now))
        start += HOUR


def closed(start: datetime, now: datetime) -> Window | None:
    """Return the whole hours from `start` on that are complete once they were read; None where none has settled."""
    end = floor(now - SETTLED)
    return Window(start, end) if end > start else None


def adds(window: Window, complete: Iterable[Window]) -> bool:
    """Whether the window is not inside a complete one already."""
    return not any(each.start <= window.start and window.end <= each.end for each in merged(complete))


def _iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
