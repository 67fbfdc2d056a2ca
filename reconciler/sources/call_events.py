"""/call_events: every webhook of the last 24 hours, and of legs that began before and are not over, as first sent."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from reconciler import windows
from reconciler.api import PAGE
from reconciler.found import (
    FoundEvent,
    instant,
    original,
)
from reconciler.sources import Asking, Finds

REACH = timedelta(hours=24) - timedelta(minutes=5)
"""How far back the list goes; a little less, so that nothing drops out of it while it is read."""


class CallEvents:
    """The list takes one bound of time only, so it is read from there to its end, and is complete or not as a whole."""

    name = "call_events"

    async def read(self, asking: Asking) -> AsyncIterator[Finds]:
        """The originals of the last day, then leg by leg."""
        reach = asking.now - REACH
        # A gap that lies further back than the list goes will never be closed: nothing is read again for its sake.
        complete = [each for each in windows.merged(asking.seen.completed(self.name, asking.now)) if each.end > reach]
        start = max(windows.begin(complete, now=asking.now, since=asking.since), reach)
        async for found in self._listed(asking, {"occurred_at": {"gte": start.isoformat()}}):
            yield found
        if (window := windows.closed(start, asking.now)) is not None:
            yield window
        for leg_id in asking.seen.open_legs(asking.now, reach):
            async for found in self._listed(asking, {"leg_id": leg_id}):
                yield found

    async def _listed(self, asking: Asking, wanted: Any) -> AsyncIterator[list[FoundEvent]]:
        pages = asking.api.pages(
            self.name,
            lambda number: asking.api.client.call_events.with_raw_response.list(
                filter=wanted, page_number=number, page_size=PAGE
            ),
        )
        async for items in pages:
            originals = [_original(item, asking) for item in items if item.get("type") != "command"]
            yield [found for found in originals if found is not None]


def _original(item: Any, asking: Asking) -> FoundEvent | None:
    return original(item, otherwise=instant(item, "event_timestamp") or asking.now)
