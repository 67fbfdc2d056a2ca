"""The report `staffing`: how many agents a target needs, how many there were, and where the models do not fit."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reports.catalogue.registry import run
from reports.errors import RequestError
from reports.measures.demand import Demand, agents_needed
from reports.measures.erlang import ErlangA, ErlangC
from reports.tables.report import Report
from tests.support.report_facts import insert
from tests.support.requests import a_request

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
    assert agents_needed(_demand(), give_up=False) == 14
    assert _demand().erlang_c(14).service_level(20) == pytest.approx(0.88835, abs=5e-6)


@pytest.mark.parametrize("target", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("arrivals", [1, 40, 400])
@pytest.mark.parametrize("give_up", [True, False])
def test_the_agents_needed_reach_the_target_and_one_fewer_does_not(arrivals: int, target: float, give_up: bool) -> None:
    demand = _demand(arrivals=arrivals, target=target)
    enough = agents_needed(demand, give_up=give_up)
    assert enough is not None
    assert demand.service_level(enough, give_up=give_up) >= target
    assert enough == 1 or demand.service_level(enough - 1, give_up=give_up) < target


@pytest.mark.parametrize("give_up", [True, False])
def test_more_load_than_any_number_of_agents_needs_no_number(give_up: bool) -> None:
    # A call in the millisecond that is left of an interval.
    assert agents_needed(_demand(arrivals=1, length_s=0.001), give_up=give_up) is None


def test_where_nobody_gives_up_there_is_no_telling_by_erlang_a() -> None:
    assert agents_needed(_demand(patience_s=None), give_up=True) is None


def _filled(fill: Any, visit: Any, *, calls: int, apart_s: float, talk_s: float, wait_s: float) -> Any:
    """An hour of answered visits, each with a talk of the same length, and one that was abandoned."""
    at = [NINE + timedelta(seconds=n * apart_s) for n in range(calls)]
    visits = [{**visit(wait_secs=wait_s, at=when), "entity": f"leg {n}"} for n, when in enumerate(at)]
    bridges = tuple(
        {"event_type": "call.bridged", "occurred_at": when + timedelta(seconds=wait_s), "entity": f"leg {n}"}
        for n, when in enumerate(at)
    )
    legs = tuple(
        {"entity": f"leg {n}", "ended_at": when + timedelta(seconds=wait_s + talk_s), "status": "ended"}
        for n, when in enumerate(at)
    )
    return fill(*visits, {**visit("abandoned", 100, at=NINE), "entity": "gave up"}, stored_events=bridges, calls=legs)


def _staffing(source: Any, **options: Any) -> Report:
    return run("staffing", source, a_request(NINE + timedelta(days=1), **{**PERIOD, **options}))


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
    assert (row["level_c"], row["wait_c_ms"]) == (None, None)
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


def _talked(fill: Any, visit: Any, *moments: tuple[str, str | None, float], **more: Any) -> Any:
    """One leg: what happened, of which queue, so many minutes after nine; its visits wait for 10 s."""
    rows: dict[str, list[dict[str, Any]]] = {"visits": [], "stored_events": [], "calls": []}
    for what, queue, minutes in moments:
        when = NINE + timedelta(minutes=minutes)
        if what == "queue":
            rows["visits"].append({**visit(queue=queue, at=when), **more, "entity": "leg"})
        elif what == "unseen":
            gone = {"enqueued_at": None, "left_at": when, "wait_ms": None}
            rows["visits"].append({**visit(queue=queue, at=when), **more, **gone, "entity": "leg"})
        elif what == "bridge":
            rows["stored_events"].append({"event_type": "call.bridged", "occurred_at": when, "entity": "leg"})
        else:
            rows["calls"].append({"entity": "leg", "ended_at": when, "status": "ended"})
    return fill(*rows["visits"], stored_events=tuple(rows["stored_events"]), calls=tuple(rows["calls"]))


def _handle_times(report: Report) -> dict[str, Any]:
    return {row["queue"]: row["handle_ms"] for row in report.section("queues").rows()}


def test_a_talk_ends_where_its_leg_is_enqueued_again(fill: Any, visit: Any) -> None:
    source = _talked(
        fill,
        visit,
        ("queue", "first", 0),
        ("bridge", None, 1),
        ("queue", "second", 5),
        ("bridge", None, 7),
        ("bridge", None, 9),  # to somebody else, and still of the second queue
        ("hangup", None, 10),
    )
    assert _handle_times(_staffing(source)) == {"first": 4 * 60_000, "second": 3 * 60_000}
    assert _handle_times(_staffing(source, queues=("second",))) == {"second": 3 * 60_000}


def test_a_talk_ends_with_an_enqueue_after_the_period_too(fill: Any, visit: Any) -> None:
    source = _talked(
        fill, visit, ("queue", "first", 0), ("bridge", None, 1), ("queue", "second", 65), ("hangup", None, 70)
    )
    period = {"from_": "2026-03-02T09:00", "to": "2026-03-02T10:00"}
    assert _handle_times(_staffing(source, **period)) == {"first": 64 * 60_000}


def test_a_talk_of_thirty_hours_is_one(fill: Any, visit: Any) -> None:
    source = _talked(fill, visit, ("queue", "first", 0), ("bridge", None, 1), ("hangup", None, 1 + 30 * 60))
    assert _handle_times(_staffing(source)) == {"first": 30 * 3_600_000}


def test_nobody_knows_a_talk_that_goes_on_was_not_heard_or_ended_unseen(fill: Any, visit: Any) -> None:
    whole = [("queue", "first", 0), ("bridge", None, 1), ("hangup", None, 9)]
    for lacking in range(1, 3):
        source = _talked(fill, visit, *whole[:lacking], *whole[lacking + 1 :])
        assert _handle_times(_staffing(source)) == {"first": None}
        source.db.execute("delete from queue_visits; delete from stored_events; delete from calls")
    assert _handle_times(_staffing(_talked(fill, visit, *whole, ("unseen", "second", 5)))) == {"first": None}


@pytest.mark.parametrize(("held_up_s", "agents"), [(0, None), (59, None), (60, 1)])
def test_how_many_agents_there_were_is_told_from_a_minute_of_waiting_on(
    fill: Any, visit: Any, held_up_s: float, agents: int | None
) -> None:
    # One talk for an hour; somebody waits meanwhile, for ten seconds more than count.
    source = _talked(fill, visit, ("queue", "support", 0), ("bridge", None, 0.2), ("hangup", None, 60))
    insert(
        source.db, "queue_visits", ({**visit(wait_secs=10 + held_up_s, at=NINE + timedelta(minutes=5)), "entity": "y"},)
    )
    row = next(_staffing(source).section("staffing").rows())
    assert row["agents"] == agents
    said = {0: "for 0 s in all, and 60 s are the least", 59: "for 59 s in all, and 60 s are the least"}
    assert agents or said[round(held_up_s)] in row["fit"]


def test_who_waited_while_nobody_talked_tells_of_no_agents(fill: Any, visit: Any) -> None:
    source = _talked(fill, visit, ("queue", "support", 0), ("bridge", None, 0.2), ("hangup", None, 1))
    insert(source.db, "queue_visits", ({**visit(wait_secs=600, at=NINE + timedelta(minutes=5)), "entity": "y"},))
    row = next(_staffing(source).section("staffing").rows())
    assert row["agents"] is None
    assert "no talk was in progress while people had waited for 10 s" in row["fit"]


@pytest.mark.parametrize("agents", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("threshold_secs", [0, 20, 3600])
def test_erlang_c_says_nothing_of_more_load_than_agents(
    fill: Any, visit: Any, agents: int, threshold_secs: float
) -> None:
    report = _staffing(
        _filled(fill, visit, calls=59, apart_s=60, talk_s=180, wait_s=30), agents=agents, threshold_secs=threshold_secs
    )
    row = next(report.section("staffing").rows())
    assert row["load"] == 3
    if agents <= 3:
        assert (row["level_c"], row["wait_c_ms"]) == (None, None)
        assert "more load than agents" in row["fit"]
    else:
        assert 0 < row["level_c"] <= 1
        assert row["wait_c_ms"] > 0


def test_a_target_that_no_agents_reach_is_said_to_be_one(fill: Any, visit: Any) -> None:
    report = _staffing(_filled(fill, visit, calls=59, apart_s=60, talk_s=180, wait_s=30), target=1.0)
    row = next(report.section("staffing").rows())
    assert row["needed_c"] is None or row["needed_c"] > 3
    assert (row["needed_c"] is None) == ("do not reach the target" in row["fit"])


def test_an_interval_in_which_all_wait_still_says_so(fill: Any, visit: Any) -> None:
    source = _talked(fill, visit, ("queue", "support", 0), ("bridge", None, 0.2), ("hangup", None, 60))
    waiting = {**visit("waiting", None, at=NINE + timedelta(hours=2)), "entity": "y"}
    insert(source.db, "queue_visits", (waiting,))
    row = list(_staffing(source, agents=2).section("staffing").rows())[-1]
    assert row["level_measured"] is None
    assert "all of them wait still" in row["fit"]


def test_talks_from_before_the_period_are_in_progress_in_it_and_no_part_of_its_handle_time(
    fill: Any, visit: Any
) -> None:
    source = _talked(fill, visit, ("queue", "support", 0), ("bridge", None, 0.2), ("hangup", None, 60))
    late = {**visit(wait_secs=600, at=NINE + timedelta(minutes=20)), "entity": "late"}
    insert(source.db, "queue_visits", (late,))
    told = {"event_type": "call.bridged", "occurred_at": NINE + timedelta(minutes=30), "entity": "late"}
    insert(source.db, "stored_events", (told,))
    insert(source.db, "calls", ({"entity": "late", "ended_at": NINE + timedelta(minutes=31), "status": "ended"},))
    period = {"from_": "2026-03-02T09:15", "to": "2026-03-02T10:00"}
    report = _staffing(source, **period)
    assert _handle_times(report) == {"support": 60_000}
    assert next(report.section("staffing").rows())["agents"] == 1
