"""Reading: what the records of a batch say, from bytes to columns (`events.sql`)."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import TypeVar

import duckdb
import pyarrow as pa

from processors.entities import history, identity
from processors.entities.time_ranges import Span
from warehouse.query import run

Rows = TypeVar("Rows")

STATEMENT = files(__package__).joinpath("events.sql").read_text()
"""The query that reads `delivered`, a row a record; `$is_all_json` says that every text is JSON."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the records of a batch are, in numbers, and the spans in which its events lie.

    `alone`: some carry a leg's `call_leg_id` alone; `joins`: some tell that a leg joined a conference.
    """

    records: int
    rejected: int
    undated: bool
    repeats: bool
    alone: bool
    joins: bool
    spans: list[Span]


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What follows from a batch if nothing else was ever heard of its entities: facts by table, and what stays open."""

    facts: dict[str, pa.Table]
    open_entities: pa.Table

    def tables(self) -> dict[str, pa.Table]:
        """All of it, by the names that landing's statements use."""
        named = {**self.facts, "open_entities": self.open_entities}
        return {f"foreseen_{table}": rows for table, rows in named.items()}


@dataclass(frozen=True, slots=True)
class Read:
    """What a batch says. Where that was found ahead of its turn, `events` is what `fresh` is to be, with the texts.

    `foreseen` is None where nobody looked.
    """

    said: Said
    events: pa.Table | None = None
    foreseen: Foreseen | None = None


def read(db: duckdb.DuckDBPyConnection) -> Said:
    """Make `fresh`, what each record of `delivered` says."""
    making = f"create or replace temp table fresh as {STATEMENT}"
    as_json(lambda known: run(db, making, known))
    return said(db, "fresh")


def as_json(ask: Callable[[dict[str, object]], Rows]) -> Rows:
    """What `ask` returns for the parameters of `STATEMENT`.

    Nearly every text is JSON, and to ask first would be to parse it twice; so it is asked only once one was not.
    """
    try:
        return ask({"is_all_json": True})
    except duckdb.InvalidInputException:
        return ask({"is_all_json": False})


def said(db: duckdb.DuckDBPyConnection, fresh: str) -> Said:
    """All that the steps of landing want to know of a relation like `fresh`, in one look: each takes a millisecond."""
    ((records, rejected, undated, repeats, alone, joins, quarters),) = run(
        db,
        f"""
        select
            count(*),
            count(rejection),
            count(*) filter (rejection is null and occurred_at_source = 'received_at'),
            count(event_id) filter (rejection is null) > count(distinct event_id) filter (rejection is null),
            coalesce(bool_or({identity.ALONE}), false),
            coalesce(bool_or(event_type = 'conference.participant.joined'), false),
            list(distinct quarter_of(occurred_at)) filter (rejection is null)
        from {fresh}
        """,
    ).fetchall()
    return Said(records, rejected, undated > 0, repeats, alone, joins, history.spans_of_quarters(quarters or []))


@contextmanager
def registered(db: duckdb.DuckDBPyConnection, **tables: pa.Table) -> Iterator[None]:
    """Let the connection's statements see the tables by their names."""
    with ExitStack() as stack:
        for name, table in tables.items():
            db.register(name, table)
            stack.callback(db.unregister, name)
        yield
