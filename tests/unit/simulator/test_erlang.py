"""The simulated queue is the one whose exact numbers are known: M/M/n+M."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import fmean, stdev

import pytest

from reports.measures.erlang import ErlangA, ErlangC
from simulator import (
    Plan,
    QueueVisit,
    simulate,
)

BATCHES = 30


def visits(plan: Plan, calls: int, rate: float) -> list[QueueVisit]:
    """Simulate about `calls` calls; the first of BATCHES + 1 parts, in which the empty center fills, is left out."""
    duration = timedelta(seconds=calls / rate)
    rows = simulate(plan, seed=11, start=datetime(2026, 3, 2, tzinfo=UTC), duration=duration).truth.queue_visits
    return rows[len(rows) // (BATCHES + 1) :]


def require_agreement(rows: list[QueueVisit], value: Callable[[QueueVisit], float], exact: float) -> None:
    """Compare the mean of `value` with `exact`, by the standard error that batch means give (Law, 2015, 9.5)."""
    size = len(rows) // BATCHES
    means = [fmean(map(value, rows[n * size : (n + 1) * size])) for n in range(BATCHES)]
    error = stdev(means) / math.sqrt(BATCHES)
    assert error < 0.05 * exact, f"the run is too short to mean anything: {error} for {exact}"
    assert abs(fmean(means) - exact) < 4 * error, f"measured {fmean(means)}, exact {exact}, error {error}"


def abandoned(row: QueueVisit) -> float:
    return row.outcome == "abandoned"


def wait_s(row: QueueVisit) -> float:
    return row.wait_ms / 1000


def waited(row: QueueVisit) -> float:
    return row.wait_ms > 0


def answered_within_20_s(row: QueueVisit) -> float:
    return row.outcome == "answered" and row.wait_ms <= 20_000


def still_waiting_after_5_s(row: QueueVisit) -> float:
    return row.wait_ms > 5_000


@pytest.mark.parametrize(
    ("rate", "service", "agents", "patience", "calls"),
    [(0.1, 60, 5, 60, 30_000), (0.25, 60, 15, 60, 40_000)],
    ids=["overloaded", "balanced"],
)
def test_abandonment_and_waits_are_those_of_erlang_a(
    rate: float, service: float, agents: int, patience: float, calls: int
) -> None:
    rows = visits(Plan.erlang_a(rate, service, agents, patience), calls, rate)
    exact = ErlangA(rate, service, agents, patience)
    require_agreement(rows, abandoned, exact.p_abandon)
    require_agreement(rows, wait_s, exact.mean_wait_s)
    require_agreement(rows, waited, exact.p_wait)
    require_agreement(rows, answered_within_20_s, exact.service_level(20))
    require_agreement(rows, still_waiting_after_5_s, exact.p_wait_beyond(5))
    answered = [row for row in rows if row.outcome == "answered"]
    require_agreement(answered, wait_s, exact.mean_wait_answered_s)


def test_without_impatience_waits_are_those_of_erlang_c() -> None:
    rate, service, agents = 0.04, 60.0, 4
    rows = visits(Plan.erlang_a(rate, service, agents, None), 50_000, rate)
    exact = ErlangC(rate, service, agents)
    assert {row.outcome for row in rows} == {"answered"}
    require_agreement(rows, wait_s, exact.mean_wait_s)
    require_agreement(rows, waited, exact.p_wait)
    require_agreement(rows, answered_within_20_s, exact.service_level(20))


def test_the_queue_is_first_come_first_served() -> None:
    rows = visits(Plan.erlang_a(0.2, 60, 10, 60), 5_000, 0.2)
    answers = [row.left_at for row in rows if row.outcome == "answered"]
    assert all(one <= next_one for one, next_one in pairwise(answers))
