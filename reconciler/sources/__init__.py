"""The sources: one module for each list of Telnyx's, with one promise in its first line. A new one is a line here.

Those with original bodies come first, so that what they tell has landed when states are asked for.
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
    """What a source may use: the API, what is known, the clock, how far back to go, and which sources were of no use.

    `now` is when the run began; an answer is of the time that `clock` tells once it has come. `step` is how long a
    visit may last before somebody must have said that it is still there, halved.
    """

    api: Api
    seen: SeenEvents
    now: datetime
    clock: Callable[[], datetime]
    since: timedelta | None = None
    step: timedelta = timedelta(hours=12)
    useless: set[str] = field(default_factory=set)
    forbidden: set[str] = field(default_factory=set)
    """Of the useless ones, those that the account may not use."""


Finds = list[FoundEvent] | Window
"""What a source gives: events, and each window that all events before it make complete."""


class EventSource(Protocol):
    """A list of Telnyx's."""

    name: str

    def read(self, asking: Asking) -> AsyncIterator[Finds]:
        """Everything that it holds of the time asked for. Raises ReconcilerError; what was given until then counts."""
        ...
