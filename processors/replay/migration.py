"""Bringing a warehouse of an older schema up to date: its events are read anew from their bodies, its facts rebuilt."""

import hashlib
import json
from collections.abc import Callable, Generator
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from processors.entities import (
    identity,
    open_entities,
)
from processors.entities.conflicts import CONTENT
from processors.events import columns, reading
from processors.facts import EVENT_TYPES, FACTS
from processors.landing.evaluation import LONGEST_WAIT
from processors.replay.rebuild import MEMORY_LIMIT, rebuild
from processors.replay.slices import BY_THE_DAY, Slicing
from warehouse import tables
from warehouse.copying import sync_folder
from warehouse.database import LANDING_MEMORY, SCHEMA_VERSION, open_successor, open_writer
from warehouse.errors import LockedError, OutdatedError, WarehouseError
from warehouse.instants import EPOCH, instant
from warehouse.query import value
from warehouse.scripts import SCHEMA
from warehouse.transaction import transaction

ENTITY_IN_CONTENT = 3
"""The version in which the digests of what events say were of all columns, `entity` included."""

BY_THE_HOUR = Slicing(events=250_000, granule=timedelta(hours=1))

MADE_ANEW = frozenset(
    {
        "better_origins",
        "bridged_connections",
        "legs_without_control",
        "open_entities",
        "participant_joins",
        "stored_events",
        "told_twice",
        "undated_events",
        "warehouse",
    }
) | {fact.table for fact in FACTS}
"""The tables that follow from the events' bodies; all others are kept as they are."""


def open_current(
    path: Path, *, on_progress: Callable[[int, int], None], memory_limit: str = LANDING_MEMORY, bulk: bool = False
) -> duckdb.DuckDBPyConnection:
    """Open the warehouse for writing as `open_writer` does, after bringing it up to date where it is an older one.

    `on_progress` gets parts done and parts in all. Raises WarehouseError.
    """
    try:
        return open_writer(path, memory_limit=memory_limit, bulk=bulk)
    except OutdatedError:
        for done, total in migrate(path):
            on_progress(done, total)
    return open_writer(path, memory_limit=memory_limit, bulk=bulk)


def migrate(
    path: Path, *, rereading: Slicing = BY_THE_HOUR, rebuilding: Slicing = BY_THE_DAY
) -> Generator[tuple[int, int], None, None]:
    """Put a warehouse of the present schema in the place of an older one; yields (parts done, parts in all).

    The new one is made beside the old one, slice by slice, in a file that ends in `.migrating`, so there must be room
    for both. It takes the old one's place in one step when all of it is on disk: whenever the process ends before,
    the old one is as it was, and the next migration goes on where this one was. What present code cannot read of what
    older code could is rejected, with its bytes; what was rejected stays so. Raises WarehouseError.
    """
    new = path.with_suffix(".migrating")
    db = _begun(new, old=path)
    try:
        total = 2 * value(db, "select count(*) from old.stored_events")
        done = value(db, "select events from migrating")
        yield done, total
        reached = instant(value(db, "select epoch_us(reached) from migrating"))
        for end, events in rereading.cut(db, "old.stored_events", since=reached):
            with transaction(db):
                _read_anew(db, reached, end)
                db.execute("update migrating set reached = ?, events = events + ?", [end, events])
            reached, done = end, done + events
            yield done, total
        if not value(db, "select kept from migrating"):
            with transaction(db):
                _keep(db)
        wait_ms = value(db, "select longest_wait_ms from warehouse")
        longest_wait = LONGEST_WAIT if wait_ms is None else timedelta(milliseconds=wait_ms)
        for rebuilt, _ in rebuild(db, longest_wait=longest_wait, slicing=rebuilding):
            yield done + rebuilt, total
        db.execute("drop table migrating")
        db.execute("checkpoint")
    finally:
        db.close()
    new.replace(path)
    sync_folder(path.parent)


def _begun(new: Path, *, old: Path) -> duckdb.DuckDBPyConnection:
    """The new warehouse with the old one beside it: what is left of a migration on the same basis, or a new one."""
    try:
        db = open_successor(new, old=old, memory_limit=MEMORY_LIMIT)
    except LockedError:
        raise
    except WarehouseError:
        pass  # cut off when it was made; or the old one is damaged, which the second try finds
    else:
        if "migrating" in tables.names(db) and value(db, "select basis from migrating") == _basis(db):
            columns.prepare(db, EVENT_TYPES)
            return db
        db.close()
    for left in (new, new.with_name(f"{new.name}.wal")):
        left.unlink(missing_ok=True)
    db = open_successor(new, old=old, memory_limit=MEMORY_LIMIT)
    columns.prepare(db, EVENT_TYPES)
    with transaction(db):
        db.execute("create table migrating (basis varchar, reached timestamptz, events bigint, kept boolean)")
        db.execute("insert into migrating values (?, ?, 0, false)", [_basis(db), EPOCH])
    return db


def _basis(db: duckdb.DuckDBPyConnection) -> str:
    """All that the new warehouse follows from, in a few words."""
    code = hashlib.sha256()
    for script in (reading.STATEMENT, columns.MACROS, SCHEMA):
        code.update(script.encode())
    held = db.execute("select count(*), (select schema_version from old.warehouse) from old.stored_events").fetchall()
    landed = db.execute("select log_partition, log_offset from old.log_positions order by all").fetchall()
    return json.dumps([SCHEMA_VERSION, code.hexdigest(), held, landed])


def _read_anew(db: duckdb.DuckDBPyConnection, start: datetime, end: datetime) -> None:
    """Store the old warehouse's events between two times as present code reads their bodies."""
    # A number of our own tells rows apart; it stands where a batch has the position in the log.
    db.execute(
        """
        create or replace temp table delivered as
        select
            0 as log_partition,
            row_number() over () as log_offset,
            received_at,
            origin,
            verified,
            null::varchar as rejection,
            body as text,
            null::blob as body,
            stored_at,
            log_partition as held_partition,
            log_offset as held_offset
        from old.stored_events
        where occurred_at >= ? and occurred_at < ?
        """,
        [start, end],
    )
    db.execute(f"create or replace temp table fresh as {reading.STATEMENT}", {"is_all_json": False})
    kept = value(
        db,
        """
        insert into stored_events by name
        select
            fresh.* exclude (log_partition, log_offset, rejection),
            stored_at,
            text as body,
            held_partition as log_partition,
            held_offset as log_offset
        from delivered join fresh using (log_partition, log_offset)
        where fresh.rejection is null
        order by occurred_at
        """,
    )
    rejected = value(
        db,
        """
        insert into rejected by name
        select
            fresh.rejection as reason,
            fresh.received_at,
            stored_at,
            fresh.origin,
            fresh.verified,
            encode(text) as body,
            held_partition as log_partition,
            held_offset as log_offset
        from delivered join fresh using (log_partition, log_offset)
        where fresh.rejection is not null
        """,
    )
    db.execute(
        """
        insert into undated_events
        select event_id, occurred_at from fresh
        where occurred_at_source = 'received_at' and rejection is null
        """
    )
    if kept + rejected != value(db, "select count(*) from delivered"):
        raise WarehouseError(
            f"between {start:%Y-%m-%d %H:%M} and {end:%Y-%m-%d %H:%M} UTC {kept} events and {rejected} rejected ones "
            "are not all that the old warehouse holds: it was left as it is; please report this"
        )


def _keep(db: duckdb.DuckDBPyConnection) -> None:
    """Take over what does not follow from the events' bodies, as it is."""
    old = {
        name for (name,) in db.execute("select table_name from duckdb_tables() where database_name = 'old'").fetchall()
    }
    for table in sorted((old & tables.names(db)) - MADE_ANEW):
        db.execute(f"insert into {table} by name from old.{table}")
    if "better_origins" in old and value(db, "select count(*) from old.better_origins"):
        _keep_better_origins(db)
    db.execute(f"insert into participant_joins {columns.joins('stored_events', columns.STORED)}")
    identity.resolve_all(db)
    db.execute("delete from warehouse")
    db.execute(
        "insert into warehouse by name select * replace (?::integer as schema_version) from old.warehouse",
        [SCHEMA_VERSION],
    )
    open_entities.begin(db)
    db.execute("update migrating set kept = true")


def _keep_better_origins(db: duckdb.DuckDBPyConnection) -> None:
    """Take over the better origins of events, each by the digest that present code gives to what the event says."""
    if value(db, "select schema_version from old.warehouse") < ENTITY_IN_CONTENT:
        db.execute("insert into better_origins by name from old.better_origins")
        return
    db.execute(
        f"""
        insert into better_origins
        select better.event_id, anew.content, better.origin, better.log_partition, better.log_offset
        from old.better_origins as better
        join (
            select event_id, md5(row({columns.SAID}, said_in(details))::varchar) as content, log_partition, log_offset
            from old.stored_events
            where event_id in (select event_id from old.better_origins)
        ) as before
        on better.event_id = before.event_id and better.content = before.content
        join (
            select event_id, {CONTENT} as content, log_partition, log_offset
            from stored_events
            where event_id in (select event_id from old.better_origins)
        ) as anew
        on before.log_partition = anew.log_partition and before.log_offset = anew.log_offset
        """
    )
