"""Rebuilding every fact from the whole history, slice by slice of time, with the definitions that landing uses."""

import json
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from itertools import cycle

import duckdb

from processors.entities import (
    episodes,
    open_entities,
    twins,
)
from processors.entities.episodes import (
    MAY_GO_ON,
    MONTH,
    SILENCE,
)
from processors.events import columns
from processors.facts import EVENT_TYPES, FACTS, derivation, digest
from processors.facts.derivation import Evaluation
from processors.landing import evaluation
from processors.landing.evaluation import LONGEST_WAIT
from processors.replay.slices import BY_THE_DAY, Slicing
from processors.replay.workers import ConnectionWorker
from warehouse import tables
from warehouse.instants import EPOCH, instant
from warehouse.query import value
from warehouse.transaction import transaction

MEMORY_LIMIT = "2GB"
"""Enough memory for slices of the usual size; with less, DuckDB uses the disk."""

ALSO = ("open_entities", "told_twice")
"""The tables beside facts that follow from episodes."""

WORKERS = 2
"""How many slices are derived at a time. Of one slice, DuckDB does much on one core, such as writing facts in order."""


def rebuild(
    db: duckdb.DuckDBPyConnection,
    *,
    longest_wait: timedelta = LONGEST_WAIT,
    slicing: Slicing = BY_THE_DAY,
    now: datetime | None = None,
) -> Generator[tuple[int, int], None, None]:
    """Derive all facts anew; yields (events done, events in all) for a progress bar, at the start and after each slice.

    Each slice is committed to tables of its own, which take the place of the old facts in one transaction at the end:
    until the iterator is exhausted nobody sees anything of it. One that was not, be it that the process was killed, is
    gone on with by the next, unless something landed meanwhile or the definitions are others: then it begins anew.
    The facts are evaluated by the time that they were last evaluated by, so a rebuild changes nothing but mistakes; and
    where the clock says `now`, not by a later one, so it mends what a clock that had jumped left behind.
    """
    evaluated = Evaluation(_evaluation_time(db, now), longest_wait)
    _begin(db, _basis(db, evaluated))
    ((reached_us, done),) = db.execute("select epoch_us(max(reached)), max(events) from rebuilding").fetchall()
    reached, total = instant(reached_us), value(db, "select count(*) from stored_events")
    yield done, total
    slices = list(slicing.cut(db, "stored_events", since=reached))
    with ExitStack() as opened:
        workers = [opened.enter_context(closing(ConnectionWorker(db))) for _ in slices[:WORKERS]]
        for worker in workers:
            _prepare(worker.db)
        carried: Future[None] = Future()
        carried.set_result(None)
        derived: deque[tuple[ConnectionWorker, Future[None], datetime, datetime, int]] = deque()
        for worker, (end, events) in zip(cycle(workers), slices, strict=False):
            if len(derived) == len(workers):
                yield _committed(*derived.popleft()), total
            done += events
            carried = worker.after(carried, _carry, reached, end)
            derived.append((worker, worker.after(carried, _derive, evaluated), reached, end, done))
            reached = end
        while derived:
            yield _committed(*derived.popleft()), total
    with transaction(db):
        _put_in_place(db, evaluated)


def _evaluation_time(db: duckdb.DuckDBPyConnection, now: datetime | None) -> datetime:
    last = evaluation.last(db)
    if last is None:
        return now or datetime.now(UTC)  # nothing has landed, so there is nothing to evaluate
    return last if now is None else evaluation.evaluation_time(db, min(now, last))


def _basis(db: duckdb.DuckDBPyConnection, evaluated: Evaluation) -> str:
    """All that the facts follow from, as a short text: a rebuild that was begun on another basis begins anew."""
    held = value(db, "select count(*) from stored_events")
    at = evaluation.last(db) and evaluated.at.isoformat()
    landed = db.execute("select log_partition, log_offset from log_positions order by all").fetchall()
    return json.dumps([digest.digest(), evaluated.longest_wait // timedelta(milliseconds=1), held, at, landed])


def _begin(db: duckdb.DuckDBPyConnection, basis: str) -> None:
    """Make the tables that a rebuild fills, unless there are some that were begun on the same basis."""
    if "rebuilding" in tables.names(db) and value(db, "select any_value(basis) from rebuilding") == basis:
        # Carried into slices that had not been reached.
        db.execute("delete from rebuilt_carried where since > (select max(reached) from rebuilding)")
        return
    with transaction(db):
        db.execute("create or replace table rebuilding (basis varchar, reached timestamptz, events bigint)")
        db.execute("insert into rebuilding values (?, ?, 0)", [basis, EPOCH])
        db.execute(
            f"""
            create or replace table rebuilt_carried as
            select null::timestamptz as since, {columns.COLUMNS}, false as is_evidence from stored_events limit 0
            """
        )
        for table in ALSO:
            tables.create_like(db, table, f"rebuilt_{table}")
        for fact in FACTS:
            tables.create_like(db, fact.table, f"rebuilt_{fact.table}")
        tables.create_like(db, "bridged_connections", "rebuilt_bridged_connections")
        db.execute(
            """
            insert into rebuilt_bridged_connections
            select distinct connection_id from stored_events
            where event_type = 'call.bridged' and connection_id is not null
            """
        )


def _prepare(db: duckdb.DuckDBPyConnection) -> None:
    """Let a worker see the events of its slice, and the connections that have a bridge anywhere in history."""
    columns.prepare(db, EVENT_TYPES)
    db.execute("create temp view bridged_connections as from rebuilt_bridged_connections")
    # A view takes no parameters, and a plain bound is what keeps DuckDB from looking everywhere.
    db.execute(
        f"""
        create temp view found as
        select {columns.COLUMNS}, false as is_evidence, true as is_seed from stored_events
        where occurred_at >= getvariable('slice_begins') and occurred_at < getvariable('slice_ends')
        and event_type in (from relevant_types)
        union all
        select {columns.COLUMNS}, true, true from participant_joins
        where occurred_at >= getvariable('slice_begins') and occurred_at < getvariable('slice_ends')
        union all
        select {columns.COLUMNS}, is_evidence, true from rebuilt_carried
        where since = getvariable('slice_begins')
        """
    )


def _carry(db: duckdb.DuckDBPyConnection, begin: datetime, end: datetime) -> None:
    """Number the episodes that are over by `end`, and commit the events of those that may go on in the next slice."""
    db.execute("set variable slice_begins = ?", [begin])
    db.execute("set variable slice_ends = ?", [end])
    episodes.number(db)
    # The next slice may hold more of an episode that reaches to within a day of the end; of an open one, a month.
    db.execute(
        f"""
        create or replace temp table going_on as
        select life, lives.entity, entity_since, until
        from lives
        join found on found.entity = lives.entity and occurred_at between entity_since and until
        where until >= $month
        group by life, lives.entity, entity_since, until, stretches
        having until >= $day or {MAY_GO_ON}
        """,
        {"day": end - SILENCE, "month": end - MONTH},
    )
    db.execute(
        f"""
        insert into rebuilt_carried
        select ?::timestamptz, {columns.COLUMNS}, is_evidence from found
        semi join going_on
        on found.entity = going_on.entity and found.occurred_at between going_on.entity_since and going_on.until
        """,
        [end],
    )
    db.execute("delete from lives where life in (select life from going_on)")


def _derive(db: duckdb.DuckDBPyConnection, evaluated: Evaluation) -> None:
    """Derive the facts of the numbered episodes, in a transaction that is left open."""
    episodes.gather(db)
    db.begin()
    derived = derivation.derive(db, evaluated)
    for each in derived.facts:
        # Lookups rely on tables that are in time order.
        db.execute(f"insert into rebuilt_{each.fact.table} from ({each.query}) order by entity_since", each.parameters)
    if derived.twinned:
        db.execute(f"insert into rebuilt_told_twice {twins.TOLD_AGAIN}")
    db.execute(
        f"""
        insert into rebuilt_open_entities
        select *, $at from ({open_entities.OF_LIVES})
        where is_silent or entity_since < (select least(open_before, $at) from warehouse)
        """,
        {"at": evaluated.at},
    )


def _committed(worker: ConnectionWorker, derived: Future[None], begin: datetime, end: datetime, done: int) -> int:
    """Commit a slice's facts when they are derived, after those of all slices before it; returns the events done."""
    derived.result()
    worker.db.execute("delete from rebuilt_carried where since = ?", [begin])
    worker.db.execute("insert into rebuilding select any_value(basis), ?, ? from rebuilding", [end, done])
    worker.db.commit()
    return done


def _put_in_place(db: duckdb.DuckDBPyConnection, evaluated: Evaluation) -> None:
    """Put the rebuilt tables in the place of the old ones, and drop the rest of the rebuild."""
    for table in (*(fact.table for fact in FACTS), "bridged_connections", *ALSO):
        db.execute(f"drop table {table}")
        db.execute(f"alter table rebuilt_{table} rename to {table}")
    db.execute("update warehouse set longest_wait_ms = ?", [evaluated.longest_wait // timedelta(milliseconds=1)])
    # Times later than the evaluation time were noted by a clock that had jumped.
    for noted in ("judged_at", "open_before"):
        db.execute(f"update warehouse set {noted} = $at where {noted} > $at", {"at": evaluated.at})
    digest.note_only(db)
    db.execute("drop table rebuilt_carried")
    db.execute("drop table rebuilding")
