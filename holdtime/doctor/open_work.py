"""Open work: waits, stays and conferences whose end no event says."""

from dataclasses import dataclass
from datetime import datetime

import duckdb

from warehouse.instants import instant
from warehouse.query import value


@dataclass(frozen=True, slots=True)
class Item:
    """One open thing. `last_event` and `last_heard_at` are of its session's newest event, if there is one."""

    id: str
    where: str | None
    call_session_id: str | None
    since: datetime
    last_event: str | None
    last_heard_at: datetime | None


@dataclass(frozen=True, slots=True)
class OpenWork:
    """A kind of open work: how many there are, the oldest of them, and what to do about it."""

    name: str
    count: int
    oldest: tuple[Item, ...]
    meaning: str
    do: str


@dataclass(frozen=True, slots=True)
class _Question:
    name: str
    table: str
    condition: str
    id: str
    where: str
    since: str
    meaning: str
    do: str


_ASK_TELNYX = "`holdtime reconcile --once` asks Telnyx for them; `holdtime call SESSION` shows what is known"

_QUESTIONS = (
    _Question(
        "waiting",
        "queue_visits",
        "outcome = 'waiting'",
        "visit_id",
        "queue",
        "coalesce(enqueued_at, entity_since)",
        "visits that nobody has ended: the caller waits, or the end was lost; unknown after the longest wait",
        f"nothing, while somebody may be waiting; else {_ASK_TELNYX}",
    ),
    _Question(
        "unknown",
        "queue_visits",
        "outcome = 'unknown'",
        "visit_id",
        "queue",
        "coalesce(enqueued_at, left_at, entity_since)",
        "visits whose end was never told, or for a reason that is not known",
        _ASK_TELNYX,
    ),
    _Question(
        "unclosed stays",
        "participant_stays",
        "left_at is null",
        "stay_id",
        "conference_id",
        "coalesce(joined_at, entity_since)",
        "stays in a conference that nobody has ended: they go on, or the leave was lost",
        f"nothing, while the conference may go on; else {_ASK_TELNYX}",
    ),
    _Question(
        "conferences in progress",
        "conferences",
        "status = 'in_progress'",
        "conference_id",
        "conference_id",
        "coalesce(created_at, entity_since)",
        "conferences that nobody has ended; Telnyx ends every one after 4 h, so of an older one the end was lost",
        f"nothing for up to 4 h; else {_ASK_TELNYX}",
    ),
)

# The newest that was heard is looked for from the oldest item's own beginning on.
_OLDEST = """
with listed as (
    select {id} as id, {where} as place, call_session_id, {since} as since
    from {table}
    where {condition}
    order by since, id
    limit $most
),
heard as (
    select call_session_id, max(occurred_at) as heard_at, max_by(event_type, (occurred_at, event_id)) as event_type
    from stored_events
    where occurred_at >= (select min(since) from listed)
    and call_session_id in (select call_session_id from listed)
    group by call_session_id
)
select id, place, call_session_id, epoch_us(since), heard.event_type, epoch_us(heard_at)
from listed
left join heard using (call_session_id)
order by since, id
"""


def kinds(db: duckdb.DuckDBPyConnection, *, most: int) -> list[OpenWork]:
    """Every kind of open work, with the `most` oldest items of each."""
    found = []
    for question in _QUESTIONS:
        count = value(db, f"select count(*) from {question.table} where {question.condition}")
        statement = _OLDEST.format(
            id=question.id,
            where=question.where,
            since=question.since,
            table=question.table,
            condition=question.condition,
        )
        rows = db.execute(statement, {"most": most}).fetchall() if count else []
        oldest = tuple(
            Item(each, place, session, instant(since), event, None if heard is None else instant(heard))
            for each, place, session, since, event, heard in rows
        )
        found.append(OpenWork(question.name, count, oldest, question.meaning, question.do))
    return found
