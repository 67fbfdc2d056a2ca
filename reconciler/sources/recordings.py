"""/recordings: every recording that was made since, of calls and conferences, with its own beginning and end."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from reconciler import windows
from reconciler.api import PAGE
from reconciler.found import (
    FoundEvent,
    instant,
    observed,
    text,
    texts,
)
from reconciler.sources import Asking, Finds

OF_CALL = "reconciler.call.recording.observed"
OF_CONFERENCE = "reconciler.conference.recording.observed"


class Recordings:
    """By when they were made. Where they lie is not kept: whoever has the address hears the call."""

    name = "recordings"

    async def read(self, asking: Asking) -> AsyncIterator[Finds]:
        """All that are complete."""
        complete = asking.seen.completed(self.name, asking.now)
        start = windows.begin(complete, now=asking.now, since=asking.since)
        bounds: Any = {"created_at": {"gte": start.isoformat(), "lte": asking.now.isoformat()}}
        pages = asking.api.pages(
            self.name,
            lambda number: asking.api.client.recordings.with_raw_response.list(
                filter=bounds, page_number=number, page_size=PAGE
            ),
        )
        async for items in pages:
            yield [found for item in items if (found := _state(item)) is not None]
        if (window := windows.closed(start, asking.now)) is not None:
            yield window


def _state(item: Mapping[str, Any]) -> FoundEvent | None:
    at = instant(item, "recording_ended_at") or instant(item, "recording_started_at")
    if at is None or text(item, "id") is None or item.get("status") not in (None, "completed"):
        return None
    of_conference = text(item, "conference_id") is not None
    names = (
        *("call_control_id", "call_leg_id", "call_session_id", "connection_id"),
        *("recording_started_at", "recording_ended_at", "channels"),
    )
    said = {"recording_id": text(item, "id"), "conference_id": text(item, "conference_id")}
    return observed(OF_CONFERENCE if of_conference else OF_CALL, at, {**said, **texts(item, *names)})
