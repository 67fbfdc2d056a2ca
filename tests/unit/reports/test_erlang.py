import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.measures.erlang import (
    ErlangA,
    ErlangC,
    erlang_b,
)

rates = st.floats(0.001, 2.0)
services = st.floats(5.0, 900.0)
patiences = st.floats(5.0, 1800.0)
numbers = st.integers(1, 120)
thresholds = st.floats(0.0, 300.0)


def test_published_erlang_c() -> None:
    center = ErlangC(arrivals_per_s=100 / 1800, mean_service_s=180, agents=14)
    assert center.p_wait == pytest.approx(0.174132, abs=5e-7)
    assert center.service_level(20) == pytest.approx(0.88835, abs=5e-6)
    assert center.mean_wait_s == pytest.approx(7.8359, abs=5e-5)
    assert center.utilisation == pytest.approx(10 / 14)


def test_published_erlang_a() -> None:
    center = ErlangA(arrivals_per_s=48 / 60, mean_service_s=60, agents=50, mean_patience_s=120)
    assert center.p_abandon == pytest.approx(0.0309122, abs=5e-8)
    assert center.mean_wait_s == pytest.approx(3.70947, abs=5e-6)


def test_published_erlang_b() -> None:
    assert erlang_b(2.0, 4) == pytest.approx(2 / 21)


@given(rates, services, numbers, patiences)
def test_erlang_a_agrees_with_its_birth_and_death_chain(rate: float, service: float, n: int, patience: float) -> None:
    """Solve the chain state by state, in a window wide enough, and compare."""
    deaths = [min(k, n) / service + max(0, k - n) / patience for k in range(6000)]
    logs, highest = [0.0], 0.0
    for death in deaths[1:]:
        logs.append(logs[-1] + math.log(rate) - math.log(death))
        highest = max(highest, logs[-1])
        if logs[-1] < highest - 45:
            break
    weights = [math.exp(log - highest) for log in logs]
    total = sum(weights)
    center = ErlangA(rate, service, n, patience)
    assert center.p_wait == pytest.approx(sum(weights[n:]) / total, rel=1e-8, abs=1e-15)
    queue = sum((k - n) * weight for k, weight in enumerate(weights) if k > n) / total
    assert center.mean_queue == pytest.approx(queue, rel=1e-8, abs=1e-15)


@pytest.mark.parametrize("n", [1, 4, 11, 50])
def test_means_are_the_integrals_of_the_tails(n: int) -> None:
    center = ErlangA(arrivals_per_s=0.05, mean_service_s=200, agents=n, mean_patience_s=90)
    step = 0.25
    middles = [step * (k + 0.5) for k in range(8000)]
    waiting = sum(map(center.p_wait_beyond, middles)) * step
    answered = sum(map(center.p_answered_after, middles)) * step / (1 - center.p_abandon)
    assert center.mean_wait_s == pytest.approx(waiting, rel=1e-4)
    assert center.mean_wait_answered_s == pytest.approx(answered, rel=1e-4)


@given(st.floats(0.01, 0.97), services, numbers, thresholds)
def test_endless_patience_is_erlang_c(utilisation: float, service: float, n: int, t_s: float) -> None:
    rate = utilisation * n / service
    patient, endless = ErlangA(rate, service, n, 1e10), ErlangC(rate, service, n)
    assert patient.p_wait == pytest.approx(endless.p_wait, rel=1e-5, abs=1e-12)
    assert patient.mean_wait_s == pytest.approx(endless.mean_wait_s, rel=1e-4, abs=1e-9)
    assert patient.mean_wait_answered_s == pytest.approx(endless.mean_wait_s, rel=1e-4, abs=1e-9)
    assert patient.service_level(t_s) == pytest.approx(endless.service_level(t_s), abs=1e-5)
    assert patient.p_abandon < 1e-6


def test_no_patience_is_erlang_b() -> None:
    assert ErlangA(0.1, 300, 28, 1e-9).p_abandon == pytest.approx(erlang_b(30, 28), rel=1e-6)


@given(rates, services, numbers, patiences, thresholds)
def test_more_agents_never_hurt(rate: float, service: float, n: int, patience: float, t_s: float) -> None:
    fewer, more = ErlangA(rate, service, n, patience), ErlangA(rate, service, n + 1, patience)
    slack = 1e-9
    assert more.p_abandon <= fewer.p_abandon + slack
    assert more.mean_wait_s <= fewer.mean_wait_s + slack
    assert more.service_level(t_s) >= fewer.service_level(t_s) - slack
    assert more.utilisation <= fewer.utilisation + slack


@given(rates, services, numbers, patiences, thresholds)
def test_more_patience_means_longer_waits_and_fewer_who_give_up(
    rate: float, service: float, n: int, patience: float, t_s: float
) -> None:
    hasty, calm = ErlangA(rate, service, n, patience), ErlangA(rate, service, n, 1.5 * patience)
    slack = 1e-9
    assert calm.p_abandon <= hasty.p_abandon + slack
    assert calm.mean_wait_s >= hasty.mean_wait_s - slack
    assert calm.p_wait_beyond(t_s) >= hasty.p_wait_beyond(t_s) - slack


@given(rates, services, numbers, patiences, thresholds)
def test_shares_are_shares_and_means_add_up(rate: float, service: float, n: int, patience: float, t_s: float) -> None:
    center = ErlangA(rate, service, n, patience)
    shares = (center.p_wait, center.p_abandon, center.utilisation, center.service_level(t_s))
    assert all(0 <= share <= 1 + 1e-12 for share in shares)
    assert center.service_level(t_s) <= center.service_level(t_s + 10) + 1e-12
    assert center.p_wait_beyond(0) == pytest.approx(center.p_wait)
    assert center.service_level(0) == pytest.approx(1 - center.p_wait, abs=1e-9)
    assert center.service_level_of_answered(1e5) == pytest.approx(1)
    assert center.p_abandon * patience == pytest.approx(center.mean_wait_s)


def test_overload() -> None:
    endless = ErlangC(1, 60, 50)
    assert (endless.p_wait, endless.utilisation, endless.mean_wait_s) == (1, 1, math.inf)
    assert endless.service_level(20) == 0
    assert endless.mean_queue == math.inf
    flooded = ErlangA(10, 60, 50, 10_000)
    assert flooded.p_abandon == pytest.approx(1 - 50 / 600, rel=1e-9)
    assert flooded.utilisation == pytest.approx(1)
    assert flooded.service_level(20) == pytest.approx(0, abs=1e-12)


def test_shares_vanish_after_very_long_waits() -> None:
    center = ErlangA(0.001953125, 5, 1, 135)
    assert center.p_answered_after(1e5) == center.p_wait_beyond(1e7) == 0
    assert center.service_level_of_answered(1e7) == pytest.approx(1)


def test_waits_of_those_who_give_up() -> None:
    center = ErlangA(0.8, 60, 50, 120)
    both = (1 - center.p_abandon) * center.mean_wait_answered_s + center.p_abandon * center.mean_wait_abandoned_s
    assert both == pytest.approx(center.mean_wait_s)


@pytest.mark.parametrize("bad", [0, -1, math.inf, math.nan])
def test_impossible_centers_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="mean_service_s must be positive and finite"):
        ErlangC(1, bad, 10)
    with pytest.raises(ValueError, match="mean_patience_s must be positive and finite"):
        ErlangA(1, 60, 10, bad)
