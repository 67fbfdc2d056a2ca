"""The columns of an event on which facts rest, and the statements that pick such events from a relation."""

from importlib.resources import files

import duckdb

from warehouse.query import run

SAID = (
    "event_id, event_type, occurred_at, entity, call_control_id, call_leg_id, call_session_id, connection_id, "
    "conference_id, queue, direction, from_number, to_number, reason, hangup_source, position, reported_wait_secs"
)
"""What an event says in columns."""

COLUMNS = f"{SAID}, details, origin"
"""What facts rest on of an event: what it says, and how it came."""

STORED = f"{COLUMNS}, log_partition, log_offset"
"""The columns of `participant_joins`."""

ALONE = "call_control_id is null and call_leg_id is not null and entity is distinct from conference_id"
"""Whether an event of a leg, given as in `stored_events`, carries the leg's `call_leg_id` alone."""

JOINED_ALONE = """(
    event_type = 'conference.participant.joined'
    and call_control_id is null and call_leg_id <> entity and entity = conference_id
)"""
"""Whether an event of a conference is the join of a leg that it names by `call_leg_id` alone."""

MACROS = files(__package__).joinpath("macros.sql").read_text()
"""How types and texts are read, as macros that the statements of all processors share."""


def prepare_macros(db: duckdb.DuckDBPyConnection) -> None:
    """Give a connection the macros, which are enough to read a batch."""
    run(db, MACROS)


def prepare(db: duckdb.DuckDBPyConnection, event_types: frozenset[str]) -> None:
    """Give a connection the macros, and the types of event on which facts rest. Once a connection."""
    prepare_macros(db)
    run(db, "create or replace temp table relevant_types (event_type varchar)")
    run(db, "insert into relevant_types select unnest(?::varchar[])", [sorted(event_types)])
    run(
        db,
        """
        create or replace temp table roles as
        select
            event_type,
            is_of_call(event_type) as is_of_call,
            is_of_pair(event_type) as is_of_pair,
            is_of_conference(event_type) as is_of_conference,
            is_detailed(event_type) as is_detailed
        from relevant_types
        """,
    )


def relevant(relation: str) -> str:
    """The events of a relation on which facts rest, as a query of `COLUMNS` and is_evidence.

    A join is an event of its conference; of the leg that joined it is evidence that no queue has the leg any more.
    """
    return f"""
        select {COLUMNS}, false as is_evidence from {relation} where event_type in (from relevant_types)
        union all
        {joins(relation)}
    """


def joins(relation: str, columns: str = f"{COLUMNS}, true as is_evidence") -> str:
    """The joins in a relation of events, each as an event of the leg that joined; the columns that are named.

    A join without the leg's `call_control_id` is left out: `identity.joins_alone` has those.
    """
    named = ", ".join("call_control_id as entity" if name == "entity" else name for name in columns.split(", "))
    return f"""
        select {named} from {relation}
        where event_type = 'conference.participant.joined'
        and call_control_id is not null and call_control_id <> entity
    """
