"""What has landed already: no event is published twice, and unfinished calls and visits are asked for."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import duckdb

from reconciler.found import FoundEvent
from reconciler.outage import EVENT_TYPE as OUTAGE
from reconciler.windows import (
    EVENT_TYPE,
    LONGEST_GAP,
    Window,
)
from warehouse import readers
from warehouse.instants import instant
from warehouse.readers import Reader

AROUND = timedelta(hours=1)
LOOK_BACK = timedelta(days=7)
"""Calls, conferences and visits that began earlier are given up: Telnyx does not know them any more, either."""
MAX_ASKED = 2_000
"""Of each kind that is asked for one by one in one run, the newest."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A visit without an end."""

    call_control_id: str
    call_leg_id: str | None
    queue: str
    enqueued_at: datetime


class SeenEvents(Protocol):
    """What has landed, as of the newest replica."""

    def unseen(self, found: Collection[FoundEvent]) -> list[FoundEvent]:
        """Return the events whose id has not landed."""

    def completed(self, source: str, now: datetime) -> list[Window]:
        """Return the windows of a source that were read to their end, in the last month."""

    def waiting(self, now: datetime) -> list[Waiting]:
        """Return the visits without an end, the newest first."""

    def open_legs(self, now: datetime, before: datetime) -> list[str]:
        """Return the ids of the legs that began before `before` and have no end."""

    def open_conferences(self, now: datetime) -> list[str]:
        """Return the ids of the conferences without an end."""

    def outage_ended(self, now: datetime) -> datetime | None:
        """Return when the last outage of ingest ended; None if there was none in the last month."""


class ReplicaEvents:
    """Looks into the newest replica. Raises WarehouseError, and duckdb.Error where its disk cannot serve."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader: Reader | None = None

    def unseen(self, found: Collection[FoundEvent]) -> list[FoundEvent]:
        if not found:
            return []
        times = [each.at for each in found]
        rows = self._rows(
            """
            select event_id from stored_events
            where occurred_at between $first and $last
            and event_id in (select unnest($ids::varchar[]))
            union all
            -- those that say no time have that of their first receipt
            select event_id from undated_events
            where event_id in (select unnest($ids::varchar[]))
            """,
            {
                "first": min(times) - AROUND,
                "last": max(times) + AROUND,
                "ids": [each.event_id for each in found],
            },
        )
        known = {event_id for (event_id,) in rows}
        return [each for each in found if each.event_id not in known]

    def completed(self, source: str, now: datetime) -> list[Window]:
        rows = self._rows(
            """
            select
                epoch_us((payload ->> '$.start')::timestamptz),
                epoch_us((payload ->> '$.end')::timestamptz)
            from events
            where occurred_at >= ? and event_type = ? and payload ->> '$.source' = ?
            """,
            [now - LONGEST_GAP, EVENT_TYPE, source],
        )
        return [Window(instant(start), instant(end)) for start, end in rows]

    def waiting(self, now: datetime) -> list[Waiting]:
        rows = self._rows(
            """
            select call_control_id, call_leg_id, queue, epoch_us(enqueued_at) from queue_visits
            where enqueued_at >= ? and enqueued_at <= ?
            and left_at is null and left_at_latest is null
            and call_control_id is not null and queue is not null
            order by enqueued_at desc limit ?
            """,
            [now - LOOK_BACK, now, MAX_ASKED],
        )
        return [Waiting(control_id, leg_id, queue, instant(at)) for control_id, leg_id, queue, at in rows]

    def open_legs(self, now: datetime, before: datetime) -> list[str]:
        rows = self._rows(
            """
            select call_leg_id from (
                select call_leg_id, entity_since from calls
                where entity_since >= ? and entity_since < ? and status <> 'ended'
                union all
                select call_leg_id, entity_since from queue_visits
                where entity_since >= ? and entity_since < ? and left_at is null
            )
            where call_leg_id is not null
            group by call_leg_id
            order by max(entity_since) desc, call_leg_id limit ?
            """,
            [now - LOOK_BACK, before, now - LOOK_BACK, before, MAX_ASKED],
        )
        return [leg_id for (leg_id,) in rows]

    def open_conferences(self, now: datetime) -> list[str]:
        rows = self._rows(
            """
            select conference_id from conferences
            where entity_since >= ? and status = 'in_progress'
            order by entity_since desc, conference_id limit ?
            """,
            [now - LOOK_BACK, MAX_ASKED],
        )
        return [conference_id for (conference_id,) in rows]

    def outage_ended(self, now: datetime) -> datetime | None:
        rows = self._rows(
            """
            select max(epoch_us((payload ->> '$.end')::timestamptz)) from events
            where occurred_at >= ? and event_type = ?
            """,
            [now - LONGEST_GAP, OUTAGE],
        )
        ended = rows[0][0] if rows else None
        return None if ended is None else instant(ended)

    def close(self) -> None:
        """Let go of the file."""
        if self._reader is not None:
            self._reader.close()
        self._reader = None

    def _rows(self, query: str, parameters: object) -> list[tuple[Any, ...]]:
        reader = self._newest()
        try:
            return [] if reader is None else reader.db.execute(query, parameters).fetchall()
        except duckdb.Error:
            self.close()  # after some errors a connection takes nothing more
            raise

    def _newest(self) -> Reader | None:
        """A reader of the file that is there now; None where nothing has landed yet."""
        try:
            if self._reader is not None and self._reader.is_of_the_newest():
                return self._reader
            self.close()
            self._path.stat()
        except FileNotFoundError:
            self.close()
            return None
        self._reader = readers.opened(self._path, memory_limit=readers.LITTLE_MEMORY)
        return self._reader
