"""/detail_records: when every conference that is over began and ended, and when everybody in it came and went."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from reconciler import windows
from reconciler.found import (
    FoundEvent,
    instant,
    observed,
    text,
    texts,
)
from reconciler.sources import Asking, Finds

SIZE = 50
"""More than this a page does not have, whatever is asked for."""
CONFERENCE = "reconciler.conference.record.observed"
PARTICIPANT = "reconciler.conference.participant.record.observed"


class DetailRecords:
    """Times in whole seconds, without reasons. By their ends, not by `date_range`, which finds nothing in silence."""

    name = "detail_records"

    async def read(self, asking: Asking) -> AsyncIterator[Finds]:
        """Conferences, then people."""
        complete = asking.seen.completed(self.name, asking.now)
        start = windows.begin(complete, now=asking.now, since=asking.since)
        for record_type, ends in (("conference", "ended_at"), ("conference-participant", "left_at")):
            wanted: Any = {"record_type": record_type, ends: {"gte": start.isoformat()}}
            pages = asking.api.pages(
                self.name,
                lambda number, wanted=wanted, ends=ends: asking.api.client.detail_records.with_raw_response.list(  # type: ignore[misc]
                    filter=wanted, sort=[ends], page_number=number, page_size=SIZE
                ),
                size=SIZE,
            )
            read = _conference if record_type == "conference" else _participant
            async for items in pages:
                yield [found for item in items if (found := read(item)) is not None]
        if (window := windows.closed(start, asking.now)) is not None:
            yield window


def _conference(item: Mapping[str, Any]) -> FoundEvent | None:
    started_at, ended_at, conference_id = instant(item, "started_at"), instant(item, "ended_at"), text(item, "id")
    at = started_at or ended_at
    if conference_id is None or at is None:
        return None
    return observed(
        CONFERENCE,
        at,
        {
            "conference_id": conference_id,
            **texts(
                item, "name", "region", "started_at", "ended_at", "call_leg_id", "call_session_id", "connection_id"
            ),
        },
    )


def _participant(item: Mapping[str, Any]) -> FoundEvent | None:
    joined_at, left_at = instant(item, "joined_at"), instant(item, "left_at")
    at = joined_at or left_at
    if text(item, "conference_id") is None or text(item, "call_leg_id") is None or at is None:
        return None
    names = ("conference_id", "call_leg_id", "call_session_id", "joined_at", "left_at")
    return observed(PARTICIPANT, at, {**texts(item, *names), "record_id": text(item, "id")})
