"""Simulated centers, what happened in them, and what a warehouse says of it."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb

from simulator import (
    TABLES,
    Plan,
    Truth,
    World,
    simulate,
)
from simulator.plan import HOURS

START = datetime(2026, 3, 2, 14, tzinfo=UTC)
QUIET_HOUR = datetime(2026, 2, 3, 12, tzinfo=UTC)
"""Seven in the morning in New York: some sixty calls."""

Rows = dict[str, list[tuple[Any, ...]]]


def a_world(seed: int) -> World:
    """A few minutes of a center in which everything happens often."""
    plan = Plan.medium()
    habits = replace(
        plan.habits,
        no_pickup=0.2,
        hangup_while_ringing=0.3,
        keep_after_hangup=0.4,
        leave=0.2,
        transfer=0.2,
        hold=0.5,
        conference=0.5,
        conference_limit_s=400,
        rejoin=0.4,
        supervisor=0.3,
        floor_s=8,
        recording=0.5,
        announcement=0.7,
        assistant=0.4,
        music=0.4,
        machine_detection=0.4,
        call_recording=0.4,
        cost=0.6,
        api_v1=0.1,
    )
    plan = replace(plan, habits=habits)
    return simulate(plan, seed=seed, start=START, duration=timedelta(minutes=6))


def a_recent_world(begin: datetime, duration: timedelta) -> World:
    """The same center from `begin` on, as busy as it ever is: at whatever hour tests run, somebody calls."""
    plan = a_world(3).plan
    busiest = tuple(
        replace(queue, calls_per_hour=(max(queue.calls_per_hour),) * HOURS, agents=(max(queue.agents),) * HOURS)
        for queue in plan.queues
    )
    return simulate(replace(plan, queues=busiest), seed=3, start=begin, duration=duration)


def a_quiet_world(*, seed: int, duration: timedelta = timedelta(hours=1)) -> World:
    """A center early in its day, in which most of what can happen does."""
    plan = Plan.medium()
    quirky = replace(plan, habits=replace(plan.habits, api_v1=0.1, conference=0.5, rejoin=0.3))
    return simulate(quirky, seed=seed, start=QUIET_HOUR, duration=duration)


def in_order(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """By everything, as text; rows are equal by value."""
    return sorted((tuple(row) for row in rows), key=lambda row: [str(value) for value in row])


def found(db: duckdb.DuckDBPyConnection, table: str) -> list[tuple[Any, ...]]:
    """The table, in the columns that the truth has."""
    names = ", ".join(getattr(TABLES[table], "_fields"))  # noqa: B009 # a NamedTuple's, which its type does not tell
    return in_order(db.execute(f"select {names} from {table}").fetchall())


def rows(truth: Truth, table: str) -> list[tuple[Any, ...]]:
    """What is true, in the same form."""
    return in_order(getattr(truth, table))


def truth_of(world: World) -> Rows:
    """What happened, as rows of all tables."""
    return {table: rows(world.truth, table) for table in TABLES}
