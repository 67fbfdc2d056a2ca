"""The sources: one module for each list of Telnyx's, with one promise in its first line. A new one is a line here.

Those with original bodies come first, so that their events have landed when states are asked for.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from reconciler.api import Api
from reconciler.found import FoundEvent
from reconciler.seen_events import SeenEvents
from reconciler.windows import Window


@dataclass(slots=True)
class Asking:
    """What a source may use: the API, what has landed, the clock, how far back to go, and which sources failed.

    `now` is when the run began; an answer is of the time of `clock` when it has come. `step` is half the time after
    which a visit that still waits must have been observed again.
    """

    api: Api
    seen: SeenEvents
    now: datetime
    clock: Callable[[], datetime]
    since: timedelta | None = None
    step: timedelta = timedelta(hours=12)
    useless: set[str] = field(default_factory=set)
    forbidden: set[str] = field(default_factory=set)
    """Of those that failed, the sources that the account may not use."""


Finds = list[FoundEvent] | Window
"""What a source gives: events, and each window that all events before it make complete."""


class EventSource(Protocol):
    """A list of Telnyx's."""

    name: str

    def read(self, asking: Asking) -> AsyncIterator[Finds]:
        """Yield all its events of the time asked for. Raises ReconcilerError; the events yielded before count."""
        ...
