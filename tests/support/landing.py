"""Arbitrary histories landed: what the warehouse shows, what the rules say, and every row of every table."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from hypothesis import strategies as st

from tests.support import model
from tests.support.builders import (
    Warehouse,
)
from tests.support.histories import (
    CLOCKS,
    Delivery,
    Told,
)

WAYS = st.integers(0, 10_000)

CLOCK = st.sampled_from(CLOCKS)

LEDGERS = (
    "stored_events",
    "events",
    "better_origins",
    "contradictions",
    "rejected",
    "log_positions",
    "bridged_connections",
    "undated_events",
)

NOTED = {"told_twice": "* exclude (found_at)", "warehouse": "* exclude (open_before)"}


def landed(warehouse: Warehouse, arrived: Delivery) -> Warehouse:
    """The warehouse, after all of it has arrived; every other batch is read before its turn."""
    for number, each in enumerate(arrived.batches):
        batch = warehouse.batch(each.bodies, received=each.received, origin=each.origins)
        warehouse.landing.land(warehouse.prepared(batch) if number % 2 else batch, each.now)
    return warehouse


def shown(warehouse: Warehouse) -> dict[str, list[dict[str, Any]]]:
    """What the warehouse shows, in the columns that the rules determine."""
    found = {}
    for table, of in model.TABLES.items():
        names = model.columns(of)
        rows = warehouse.db.execute(f"select {', '.join(names)} from {table}").fetchall()
        found[table] = sorted((dict(zip(names, row, strict=True)) for row in rows), key=in_order)
    return found


def expected(history: Iterable[Told], *, judged_at: datetime) -> dict[str, list[dict[str, Any]]]:
    """What the rules say, in the same form."""
    facts = model.facts((told.happening for told in history), judged_at=judged_at)
    return {table: sorted((asdict(row) for row in getattr(facts, table)), key=in_order) for table in model.TABLES}


def in_order(row: dict[str, Any]) -> tuple[str, ...]:
    """By what tells rows apart, then by everything."""
    return (
        str(row.get("visit_id") or row.get("stay_id") or row.get("conference_id")),
        *(f"{row[name]:%s}" if isinstance(row[name], datetime) else str(row[name]) for name in sorted(row)),
    )


def everything(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, but for when it was noted, which a rebuild may do at another time."""
    noted = {table: warehouse.rows(f"(select {columns} from {table})") for table, columns in NOTED.items()}
    return warehouse.facts() | {table: warehouse.rows(table) for table in LEDGERS} | noted
