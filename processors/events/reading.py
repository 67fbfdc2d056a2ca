"""Reading: the records of a batch as events, from bytes to columns (`events.sql`)."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import TypeVar

import duckdb
import pyarrow as pa

from processors.events import time_ranges
from processors.events.columns import ALONE, JOINED_ALONE
from processors.events.time_ranges import TimeRange
from warehouse.query import run

Rows = TypeVar("Rows")

STATEMENT = files(__package__).joinpath("events.sql").read_text()
"""The query that reads `delivered`, a row a record; `$is_all_json` says that every text is JSON."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The records of a batch in numbers, and the time ranges in which its events lie.

    `undated`: some events carry no time of their own; `repeats`: some ids occur more than once; `alone`: some carry a
    leg's `call_leg_id` alone; `joins`: some are joins of a conference.
    """

    records: int
    rejected: int
    undated: bool
    repeats: bool
    alone: bool
    joins: bool
    ranges: list[TimeRange]


def read(db: duckdb.DuckDBPyConnection) -> Summary:
    """Make `fresh`: each record of `delivered` as an event, or with the reason why it is none."""
    making = f"create or replace temp table fresh as {STATEMENT}"
    as_json(lambda known: run(db, making, known))
    return summary(db, "fresh")


def as_json(ask: Callable[[dict[str, object]], Rows]) -> Rows:
    """Return the answer of `ask` to the parameters of `STATEMENT`.

    Nearly every text is JSON, and a check would parse each twice: so the check is made only once a text was none.
    """
    try:
        return ask({"is_all_json": True})
    except duckdb.InvalidInputException:
        return ask({"is_all_json": False})


def summary(db: duckdb.DuckDBPyConnection, fresh: str) -> Summary:
    """All that the steps of landing need to know of a relation like `fresh`, in one query: each takes a millisecond."""
    ((records, rejected, undated, repeats, alone, joins, quarters),) = run(
        db,
        f"""
        select
            count(*),
            count(rejection),
            count(*) filter (rejection is null and occurred_at_source = 'received_at'),
            count(event_id) filter (rejection is null) > count(distinct event_id) filter (rejection is null),
            coalesce(bool_or({ALONE} or {JOINED_ALONE}) filter (rejection is null), false),
            coalesce(bool_or(event_type = 'conference.participant.joined'), false),
            list(distinct quarter_of(occurred_at)) filter (rejection is null)
        from {fresh}
        """,
    ).fetchall()
    return Summary(records, rejected, undated > 0, repeats, alone, joins, time_ranges.of_quarters(quarters or []))


@contextmanager
def registered(db: duckdb.DuckDBPyConnection, **tables: pa.Table) -> Iterator[None]:
    """Let the connection's statements see the tables by their names."""
    with ExitStack() as stack:
        for name, table in tables.items():
            db.register(name, table)
            stack.callback(db.unregister, name)
        yield
