"""The report `staffing`: how many agents a target needs, how many there were, and where the models do not fit."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reports.erlang import ErlangA, ErlangC
from reports.errors import RequestError
from reports.registry import run
from reports.report import Report
from reports.request import parse
from reports.staffing import Demand, needed
from tests.unit.reports.conftest import insert

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
PERIOD = {"from_": "2026-03-02", "to": "2026-03-03"}


def _demand(**changes: Any) -> Demand:
    # The published example: 100 calls in 30 minutes, 180 s each.
    given = {
        "arrivals": 100,
        "length_s": 1800.0,
        "handle_s": 180.0,
        "patience_s": 120.0,
        "threshold_s": 20.0,
        "target": 0.8,
    }
    return Demand(**{**given, **changes})


def test_the_published_example_needs_fourteen_agents() -> None:
    assert needed(_demand(), give_up=False) == 14
    assert _demand().c(14).service_level(20) == pytest.approx(0.88835, abs=5e-6)


@pytest.mark.parametrize("target", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("arrivals", [1, 40, 400])
@pytest.mark.parametrize("give_up", [True, False])
def test_the_agents_needed_reach_the_target_and_one_fewer_does_not(arrivals: int, target: float, give_up: bool) -> None:
    demand = _demand(arrivals=arrivals, target=target)
    enough = needed(demand, give_up=give_up)
    assert enough is not None
    assert demand.level(enough, give_up=give_up) >= target
    assert enough == 1 or demand.level(enough - 1, give_up=give_up) < target


def test_where_nobody_gives_up_there_is_no_telling_by_erlang_a() -> None:
    assert needed(_demand(patience_s=None), give_up=True) is None


def _filled(fill: Any, visit: Any, *, calls: int, apart_s: float, talk_s: float, wait_s: float) -> Any:
    """An hour of answered visits, each with a talk of the same length, and one that was abandoned."""
    at = [NINE + timedelta(seconds=n * apart_s) for n in range(calls)]
    visits = [{**visit(wait_secs=wait_s, at=when), "call_leg_id": f"leg {n}"} for n, when in enumerate(at)]
    source = fill(*visits, visit("abandoned", 100, at=NINE))
    legs = tuple(
        {
            "call_leg_id": f"leg {n}",
            "initiated_at": when,
            "bridged_at": when + timedelta(seconds=wait_s),
            "ended_at": when + timedelta(seconds=wait_s + talk_s),
            "talk_ms": round(talk_s * 1000),
            "status": "ended",
        }
        for n, when in enumerate(at)
    )
    insert(source.db, "calls", legs)
    return source


def _staffing(source: Any, **options: Any) -> Report:
    return run("staffing", source, parse(now=NINE + timedelta(days=1), **{**PERIOD, **options}))


def test_loads_patience_and_agents_are_those_measured(fill: Any, visit: Any) -> None:
    # A call a minute, a talk of three minutes, each after 30 s of waiting: three talks at once while somebody waits.
    report = _staffing(_filled(fill, visit, calls=60, apart_s=60, talk_s=180, wait_s=30))
    (load,) = report.section("queues").rows()
    assert (load["offered"], load["handle_ms"], load["patience_ms"]) == (61, 180_000, 60 * 30_000 + 100_000)
    row = next(report.section("staffing").rows())
    assert row["agents"] == 3
    assert row["load"] == pytest.approx(61 / 3600 * 180)
    assert row["level_measured"] == 0
    model = ErlangA(61 / 3600, 180, 3, load["patience_ms"] / 1000)
    assert (row["level_a"], row["abandonment_a"]) == (model.service_level(20), model.p_abandon)
    assert row["level_c"] == 0
    assert row["wait_c_ms"] is None
    assert "more load than agents" in row["fit"]


def test_agents_that_were_asked_for_are_those_the_models_have(fill: Any, visit: Any) -> None:
    report = _staffing(_filled(fill, visit, calls=60, apart_s=60, talk_s=180, wait_s=30), agents=4)
    row = next(report.section("staffing").rows())
    assert (row["agents"], row["level_c"]) == (4, ErlangC(61 / 3600, 180, 4).service_level(20))
    assert any(note == "Agents: 4, as asked." for note in report.notes)


def test_where_the_model_does_not_fit_the_report_says_so(fill: Any, visit: Any) -> None:
    # Talks all of one length, in which many agents had been idle while people waited: no queue does that.
    report = _staffing(_filled(fill, visit, calls=60, apart_s=60, talk_s=180, wait_s=30), agents=20)
    (load,) = report.section("queues").rows()
    assert "more regular than exponential" in load["fit"]
    assert next(report.section("staffing").rows())["fit"] == "Erlang A is off by +100 points"


def test_without_talks_or_with_few_calls_nothing_is_predicted_or_believed(fill: Any, visit: Any) -> None:
    report = _staffing(fill(visit(at=NINE)))
    assert [row["fit"] for row in report.section("staffing").rows()] == ["no talk is known: nothing to predict from"]
    few = _staffing(_filled(fill, visit, calls=5, apart_s=60, talk_s=180, wait_s=30))
    assert "too few calls to tell" in next(few.section("staffing").rows())["fit"]


def test_agents_that_cannot_be_are_refused(fill: Any) -> None:
    with pytest.raises(RequestError, match="agents must be between 1 and 100000: found 0"):
        _staffing(fill(), agents=0)
