"""/webhook_deliveries: every webhook that Telnyx tried to deliver in a window, taken or not, as first sent."""

from collections.abc import AsyncIterator

from reconciler import windows
from reconciler.api import PAGE
from reconciler.found import (
    FoundEvent,
    instant,
    original,
)
from reconciler.sources import Asking, Finds


class WebhookDeliveries:
    """An hour at a time, bounded on both sides, so that pages stay what they are while they are read.

    Those that Telnyx calls delivered are asked for, too: that an answer was sent is not that an event is kept.
    """

    name = "webhook_deliveries"

    async def read(self, asking: Asking) -> AsyncIterator[Finds]:
        """The originals, hour by hour."""
        complete = asking.seen.completed(self.name, asking.now)
        start = windows.begin(complete, now=asking.now, since=asking.since)
        for window in windows.cut(start, asking.now):
            bounds = {"gte": window.start.isoformat(), "lte": window.end.isoformat()}
            pages = asking.api.pages(
                self.name,
                lambda number, bounds=bounds: asking.api.client.webhook_deliveries.with_raw_response.list(  # type: ignore[misc]
                    filter={"started_at": bounds}, page_number=number, page_size=PAGE
                ),
            )
            async for items in pages:
                yield [found for item in items if (found := _original(item, window)) is not None]
            if (done := windows.closed(window.start, asking.now)) and done.end >= window.end:
                yield window


def _original(item: object, window: windows.Window) -> FoundEvent | None:
    if not isinstance(item, dict):
        return None
    return original(item, otherwise=instant(item, "started_at") or window.start)
