"""/conferences/{id}/participants: who is in each conference that goes on, and who was where no record says.

Where `/detail_records` can be read, it says exactly who came and went, and those that are over are not asked for.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from reconciler import windows
from reconciler.api import PAGE
from reconciler.errors import (
    ForbiddenError,
    UnansweredError,
    UnaskableError,
)
from reconciler.found import (
    FoundEvent,
    instant,
    observed,
    text,
    texts,
)
from reconciler.sources import Asking, Finds
from reconciler.sources.conferences import Conferences, listed_since
from reconciler.sources.detail_records import DetailRecords

EVENT_TYPE = "reconciler.conference.participant.observed"


class Participants:
    """There is no time of joining or leaving here: that somebody was there, and by when they had left."""

    name = "participants"

    async def read(self, asking: Asking) -> AsyncIterator[Finds]:
        """Conference by conference, of those that are listed."""
        complete = asking.seen.completed(self.name, asking.now)
        start = windows.begin(complete, now=asking.now, since=asking.since)
        all_of_them = DetailRecords.name in asking.useless
        if Conferences.name in asking.useless:
            why = "participants: not asked for, because the list of conferences could not be read"
            raise ForbiddenError(why) if Conferences.name in asking.forbidden else UnansweredError(why)
        async for items in listed_since(asking, start):
            for item in items:
                if all_of_them or item.get("status") != "completed":
                    async for found in self._of(asking, item):
                        yield found
        if (window := windows.closed(start, asking.now)) is not None:
            yield window

    async def _of(self, asking: Asking, conference: Mapping[str, Any]) -> AsyncIterator[list[FoundEvent]]:
        conference_id = conference["id"]
        api = asking.api
        pages = api.pages(
            self.name,
            lambda number: api.client.conferences.with_raw_response.list_participants(
                conference_id, page_number=number, page_size=PAGE
            ),
            may_be_gone=True,
        )
        try:
            async for items in pages:
                whole = [await self._whole(asking, conference_id, item) for item in items]
                yield [found for item in whole if (found := _state(conference, item)) is not None]
        except UnaskableError:
            return

    async def _whole(self, asking: Asking, conference_id: str, item: Mapping[str, Any]) -> Mapping[str, Any]:
        """The participant; asked for alone where the list leaves out whose leg it is."""
        participant_id = text(item, "id")
        if participant_id is None or text(item, "call_leg_id") or text(item, "call_control_id"):
            return item
        single = await asking.api.one(
            self.name,
            lambda: asking.api.client.conferences.with_raw_response.retrieve_participant(
                participant_id, id=conference_id
            ),
        )
        return item if single is None else single


def _state(conference: Mapping[str, Any], item: Mapping[str, Any]) -> FoundEvent | None:
    at = instant(conference, "created_at")
    if at is None or not (text(item, "call_leg_id") or text(item, "call_control_id")):
        return None
    names = ("call_leg_id", "call_control_id", "status", "updated_at")
    said = {"conference_id": conference["id"], "participant_id": text(item, "id")}
    return observed(EVENT_TYPE, at, {**said, **texts(item, *names)})
