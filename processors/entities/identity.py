"""Identity: which leg an event belongs to that carries only one of a leg's two ids.

Nearly every event carries `call_control_id`, which names its leg. An event that carries `call_leg_id` alone belongs
to the leg that another event ties to that id: an event within a day of it, or else within a month. Where no event
ties it, the id itself names the leg. Such events are few. `legs_without_control` lists them, so that a tie that comes
later finds them.

So it is with a join that carries `call_leg_id` alone: its row is its conference's, and what it says of the leg
(`participant_joins`) is the leg's to which the id is tied.
"""

from collections.abc import Iterable

import duckdb

from processors.entities.episodes import MONTH, SILENCE
from processors.events.columns import ALONE, COLUMNS, JOINED_ALONE, STORED
from processors.events.time_ranges import TimeRange, widened
from warehouse.query import run, value

_TIES = "call_control_id is not null and call_leg_id is not null and call_leg_id in (select call_leg_id from alone)"
_DAY, _MONTH = (f"to_seconds({span.total_seconds():.0f})" for span in (SILENCE, MONTH))


_MOVED = f"""
    select alone.event_id, alone.call_leg_id, alone.occurred_at, is_fresh, alone.entity as was, tied.entity
    from alone
    join (
        select
            alone.event_id,
            alone.call_leg_id,
            alone.occurred_at,
            coalesce(
                min(call_control_id) filter (
                    ties.occurred_at between alone.occurred_at - {_DAY} and alone.occurred_at + {_DAY}
                ),
                min(call_control_id)
            ) as entity
        from alone
        join ties
        on alone.call_leg_id = ties.call_leg_id
        and ties.occurred_at between alone.occurred_at - {_MONTH} and alone.occurred_at + {_MONTH}
        group by alone.event_id, alone.call_leg_id, alone.occurred_at
    ) as tied using (event_id, call_leg_id, occurred_at)
    where tied.entity <> alone.entity
"""
"""The events of `alone` that are of another entity than they were: `entity`, and `was`."""


def resolve(db: duckdb.DuckDBPyConnection, ranges: list[TimeRange], *, alone: bool, tables: Iterable[str]) -> None:
    """Give each event that carries `call_leg_id` alone its entity, in `fresh` and, where `fresh` ties it, as stored.

    `alone` says that `fresh`, which lies within `ranges`, has such events. Entities that lose or gain stored events are
    `reopened`, and their facts, in `tables`, take the new name; so are the legs of such joins in `fresh`.
    """
    stored = value(db, "select count(*) from legs_without_control")
    if not ranges or not (alone or stored):
        return
    wide = widened(ranges, MONTH)
    run(
        db,
        f"""
        create or replace temp table alone as
        select event_id, call_leg_id, occurred_at, call_leg_id as entity, true as is_fresh
        from fresh
        where rejection is null and ({ALONE} or {JOINED_ALONE})
        """,
    )
    if stored:
        run(
            db,
            """
            insert into alone
            select event_id, call_leg_id, occurred_at, entity, false
            from legs_without_control
            where occurred_at >= ? and occurred_at < ?
            and call_leg_id in (
                select call_leg_id from fresh
                where rejection is null and call_control_id is not null and call_leg_id is not null
            )
            """,
            [wide[0][0], wide[-1][1]],
        )
    run(
        db,
        f"""
        create or replace temp table ties as
        select call_leg_id, call_control_id, occurred_at
        from fresh
        where rejection is null and {_TIES}
        """,
    )
    _find_ties(db, f"select min(occurred_at) - {_DAY}, max(occurred_at) + {_DAY} from alone")
    untied = "from alone where call_leg_id not in (select call_leg_id from ties)"
    _find_ties(db, f"select min(occurred_at) - {_MONTH}, max(occurred_at) + {_MONTH} {untied}")
    run(db, f"create or replace temp table moved as {_MOVED}")
    if value(db, "select count(*) from moved where is_fresh"):
        run(
            db,
            """
            update fresh set entity = moved.entity
            from moved
            where is_fresh and fresh.event_id = moved.event_id and fresh.call_leg_id = moved.call_leg_id
            and fresh.occurred_at = moved.occurred_at and fresh.call_control_id is null
            and fresh.entity = moved.was -- a join stays its conference's
            """,
        )
    if alone:
        run(db, f"insert into reopened select entity, occurred_at from ({joins_alone('fresh', COLUMNS)})")
    if value(db, "select count(*) from moved where not is_fresh"):
        _move(db, tables)


def resolve_all(db: duckdb.DuckDBPyConnection) -> None:
    """The same for all of `stored_events`, before any fact is derived from them; adds to `participant_joins`."""
    if not tie_all(db, "stored_events"):
        return
    run(db, "insert into legs_without_control select event_id, call_leg_id, occurred_at, entity from alone")
    run(db, f"insert into participant_joins {joins_alone('stored_events', STORED)}")
    run(
        db,
        """
        update stored_events set entity = moved.entity
        from moved
        where stored_events.event_id = moved.event_id and stored_events.entity = moved.was
        and stored_events.occurred_at = moved.occurred_at and stored_events.call_control_id is null
        """,
    )
    _rename_alone(db)


def tie_all(db: duckdb.DuckDBPyConnection, events: str) -> bool:
    """Make `moved`, the events of a relation that carry a leg's id alone and are tied; False where none is alone."""
    if not value(
        db,
        f"""
        create or replace temp table alone as
        select event_id, call_leg_id, occurred_at, call_leg_id as entity, false as is_fresh
        from {events}
        where {ALONE} or {JOINED_ALONE}
        """,
    ):
        return False
    run(
        db,
        f"""
        create or replace temp table ties as
        select call_leg_id, call_control_id, occurred_at from {events} where {_TIES}
        """,
    )
    run(db, f"create or replace temp table moved as {_MOVED}")
    return True


def joins_alone(events: str, columns: str = f"{COLUMNS}, true as is_evidence") -> str:
    """The joins in a relation that carry a leg's id alone, each as an event of that leg; the columns that are named.

    Needs `moved`, made of that relation.
    """
    leg = "coalesce(leg, call_leg_id) as entity"
    named = ", ".join(leg if name == "entity" else name for name in columns.split(", "))
    return f"""
        select {named}
        from (select * from {events} where {JOINED_ALONE})
        left join (select distinct event_id, call_leg_id, occurred_at, entity as leg from moved) as tied
        using (event_id, call_leg_id, occurred_at)
    """


def store(db: duckdb.DuckDBPyConnection) -> None:
    """List the events of `fresh` that carry `call_leg_id` alone, and store such joins as events of their legs."""
    run(
        db,
        f"""
        insert into legs_without_control
        select event_id, call_leg_id, occurred_at, entity from fresh where {ALONE}
        union all
        select event_id, call_leg_id, occurred_at, entity from ({joins_alone("fresh", COLUMNS)})
        """,
    )
    run(db, f"insert into participant_joins {joins_alone('fresh', STORED)}")


def fill(db: duckdb.DuckDBPyConnection) -> None:
    """Let each event of `touched` carry both ids of its leg, where an event of its life has both. Needs `lives`."""
    run(
        db,
        """
        update touched set call_control_id = lives.entity
        from lives
        where touched.life = lives.life and call_control_id is null and call_leg_id is not null
        and lives.entity is distinct from conference_id and lives.entity <> call_leg_id
        """,
    )
    for known, missing in (("call_leg_id", "call_control_id"), ("call_control_id", "call_leg_id")):
        run(
            db,
            f"""
            update touched set {missing} = ties.{missing}
            from (
                select life, {known}, min({missing}) as {missing}
                from touched
                where {known} is not null and {missing} is not null
                group by life, {known}
            ) as ties
            where touched.life = ties.life and touched.{known} = ties.{known} and touched.{missing} is null
            """,
        )


def _find_ties(db: duckdb.DuckDBPyConnection, bounds: str) -> None:
    ((start, end),) = run(db, bounds).fetchall()
    if start is not None:
        run(
            db,
            f"""
            insert into ties
            select call_leg_id, call_control_id, occurred_at
            from stored_events
            where occurred_at >= ? and occurred_at <= ? and {_TIES}
            """,
            [start, end],
        )


def _move(db: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> None:
    """Give stored events of `moved`, and the facts derived from them, the entity that they belong to."""
    ((start, end),) = run(db, "select min(occurred_at), max(occurred_at) from moved where not is_fresh").fetchall()
    run(
        db,
        """
        update stored_events set entity = moved.entity
        from moved
        where not is_fresh
        and stored_events.occurred_at >= ? and stored_events.occurred_at <= ?
        and stored_events.event_id = moved.event_id and stored_events.entity = moved.was
        and stored_events.occurred_at = moved.occurred_at and stored_events.call_control_id is null
        """,
        [start, end],
    )
    run(
        db,
        """
        update participant_joins set entity = moved.entity
        from moved
        where not is_fresh
        and participant_joins.occurred_at >= ? and participant_joins.occurred_at <= ?
        and participant_joins.event_id = moved.event_id and participant_joins.call_leg_id = moved.call_leg_id
        and participant_joins.occurred_at = moved.occurred_at and participant_joins.call_control_id is null
        """,
        [start, end],
    )
    for table in (*tables, "open_entities"):
        run(
            db,
            f"""
            update {table} set entity = names.entity
            from (
                select was, min(entity) as entity, min(occurred_at) as since, max(occurred_at) as until
                from moved where not is_fresh group by was
            ) as names
            where {table}.entity_since >= ? and {table}.entity_since <= ?
            and {table}.entity = names.was and {table}.entity_since between names.since and names.until
            """,
            [start, end],
        )
    run(
        db,
        """
        insert into reopened
        select entity, occurred_at from moved where not is_fresh
        union all
        select was, occurred_at from moved where not is_fresh
        """,
    )
    _rename_alone(db)


def _rename_alone(db: duckdb.DuckDBPyConnection) -> None:
    run(
        db,
        """
        update legs_without_control set entity = moved.entity
        from moved
        where not is_fresh
        and legs_without_control.event_id = moved.event_id
        and legs_without_control.call_leg_id = moved.call_leg_id
        and legs_without_control.occurred_at = moved.occurred_at
        """,
    )
