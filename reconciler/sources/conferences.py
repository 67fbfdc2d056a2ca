"""/conferences: how every conference stands that was going on in the time asked for: status, end_reason, name."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

from reconciler import windows
from reconciler.api import PAGE
from reconciler.errors import UnaskableError
from reconciler.found import (
    FoundEvent,
    instant,
    observed,
    text,
    texts,
)
from reconciler.sources import Asking, Finds

EVENT_TYPE = "reconciler.conference.observed"


class Conferences:
    """The list has no filter by time, and those that expire last come first: it is read until all expired before.

    A conference that the warehouse believes to go on and that was not listed is asked for by its id.
    """

    name = "conferences"

    async def read(self, asking: Asking) -> AsyncIterator[Finds]:
        """The listed ones, then one by one."""
        complete = asking.seen.completed(self.name, asking.now)
        start = windows.begin(complete, now=asking.now, since=asking.since)
        listed: set[str] = set()
        async for items in listed_since(asking, start):
            listed |= {item["id"] for item in items}
            yield [found for item in items if (found := _state(item)) is not None]
        for conference_id in asking.seen.open_conferences(asking.now):
            if conference_id not in listed:
                item = await retrieved(asking, conference_id)
                if item is not None and (found := _state(item)) is not None:
                    yield [found]
        if (window := windows.closed(start, asking.now)) is not None:
            yield window


async def listed_since(asking: Asking, start: datetime) -> AsyncIterator[list[Mapping[str, Any]]]:
    """The conferences that expired after `start`, or will. Those without an id are of no use."""
    pages = asking.api.pages(
        Conferences.name,
        lambda number: asking.api.client.conferences.with_raw_response.list(page_number=number, page_size=PAGE),
    )
    async for items in pages:
        yield [item for item in items if text(item, "id") and (instant(item, "expires_at") or asking.now) >= start]
        expiries = [at for item in items if (at := instant(item, "expires_at")) is not None]
        if expiries and max(expiries) < start:
            return


async def retrieved(asking: Asking, conference_id: str) -> Mapping[str, Any] | None:
    """One conference; None where Telnyx knows none of that id, or it cannot be one."""
    try:
        return await asking.api.one(
            Conferences.name, lambda: asking.api.client.conferences.with_raw_response.retrieve(conference_id)
        )
    except UnaskableError:
        return None


def _state(item: Mapping[str, Any]) -> FoundEvent | None:
    created_at, conference_id = instant(item, "created_at"), text(item, "id")
    if conference_id is None or created_at is None:
        return None
    ended_by = item.get("ended_by")
    by = texts(ended_by, "call_control_id") if isinstance(ended_by, dict) else {"call_control_id": None}
    return observed(
        EVENT_TYPE,
        created_at,
        {
            "conference_id": conference_id,
            "ended_by": by["call_control_id"],
            **texts(item, "name", "region", "status", "end_reason", "created_at", "updated_at", "connection_id"),
        },
    )
