"""/queues: how large each queue is, who waits in it now, and which visits that nobody has ended are there no more.

There is no history: nothing here says when a call left its queue, only that it was gone by the time of asking.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from reconciler.api import PAGE
from reconciler.errors import UnansweredError, UnaskableError
from reconciler.found import (
    FoundEvent,
    instant,
    observed,
    text,
    texts,
    whole,
)
from reconciler.seen_events import Waiting
from reconciler.sources import Asking, Finds
from reconciler.transport import MAX_TARGET_BYTES

MAX_QUEUES = 10_000
QUEUE = "reconciler.queue.observed"
CALL = "reconciler.queue.call.observed"


class Queues:
    """Queue by queue, then one by one what should wait and was not listed: a queue that is empty may be forgotten."""

    name = "queues"

    async def read(self, asking: Asking) -> AsyncIterator[Finds]:
        """Sizes and who waits, then who is gone."""
        api = asking.api
        present: set[tuple[str, str]] = set()
        pages = api.pages(
            self.name, lambda number: api.client.queues.with_raw_response.list(page_number=number, page_size=PAGE)
        )
        names: list[str] = []
        async for items in pages:
            yield [size for item in items if (size := _queue(item)) is not None]
            names += [name for item in items if (name := text(item, "name")) and len(name) <= MAX_TARGET_BYTES]
            if len(names) > MAX_QUEUES:
                raise UnansweredError(f"{self.name}: more than {MAX_QUEUES:,} queues, which no account has")
        for name in names:
            with suppress(UnaskableError):
                async for found in self._waiting(asking, name, present):
                    yield found
        async for found in self._gone(asking, present, set(names)):
            yield found

    async def _waiting(
        self, asking: Asking, name: str, present: set[tuple[str, str]]
    ) -> AsyncIterator[list[FoundEvent]]:
        api = asking.api
        pages = api.pages(
            self.name,
            lambda number: api.client.queues.calls.with_raw_response.list(name, page_number=number, page_size=PAGE),
            may_be_gone=True,
        )
        async for items in pages:
            present |= {(name, control_id) for item in items if (control_id := text(item, "call_control_id"))}
            yield [found for item in items if (found := _there(item, name, asking)) is not None]

    async def _gone(
        self, asking: Asking, present: set[tuple[str, str]], listed: set[str]
    ) -> AsyncIterator[list[FoundEvent]]:
        """The visits without an end that their queue did not list: each is asked for by itself."""
        api, asked = asking.api, set(listed)
        for visit in asking.seen.waiting(asking.now):
            if (visit.queue, visit.call_control_id) in present:
                continue
            try:
                if visit.queue not in asked:
                    asked.add(visit.queue)
                    queue = await api.one(
                        self.name,
                        lambda visit=visit: api.client.queues.with_raw_response.retrieve(visit.queue),  # type: ignore[misc]
                    )
                    if queue is not None and (found := _queue(queue)) is not None:
                        yield [found]
                item = await api.one(
                    self.name,
                    lambda visit=visit: api.client.queues.calls.with_raw_response.retrieve(  # type: ignore[misc]
                        visit.call_control_id, queue_name=visit.queue
                    ),
                )
            except UnaskableError:
                continue
            there = None if item is None else _there(item, visit.queue, asking)
            if there is not None:
                yield [there]
            elif item is None:
                yield [_left(visit, asking.clock())]


def _queue(item: Mapping[str, Any]) -> FoundEvent | None:
    at, name = instant(item, "updated_at") or instant(item, "created_at"), text(item, "name")
    if at is None or name is None:
        return None
    sizes = {field: whole(item, field) for field in ("current_size", "max_size", "average_wait_time_secs")}
    return observed(QUEUE, at, {"queue": name, **sizes, **texts(item, "updated_at")})


def _there(item: Mapping[str, Any], queue: str, asking: Asking) -> FoundEvent | None:
    """That a call waits; told anew only once so much time has passed that somebody must have said it again.

    `seen_at` is the last whole step after `enqueued_at`: the call waited then, for it waits now.
    """
    enqueued_at, now = instant(item, "enqueued_at"), asking.clock()
    if enqueued_at is None or enqueued_at > now:
        return None
    seen_at = enqueued_at + (now - enqueued_at) // asking.step * asking.step
    names = ("call_control_id", "call_leg_id", "call_session_id", "connection_id", "from", "to", "enqueued_at")
    said = {"queue": queue, "present": True, "seen_at": _iso(seen_at)}
    return observed(CALL, seen_at, {**texts(item, *names), **said})


def _left(visit: Waiting, now: datetime) -> FoundEvent:
    """That a call is gone. It is dated by its enqueue, so that it is found with the visit that it is about."""
    said = {
        "call_control_id": visit.call_control_id,
        "call_leg_id": visit.call_leg_id,
        "queue": visit.queue,
        "enqueued_at": _iso(visit.enqueued_at),
        "present": False,
        "seen_at": _iso(now),
    }
    return observed(CALL, visit.enqueued_at, said)


def _iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
