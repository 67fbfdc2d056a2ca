"""Whom to call back: one row a person, by the last moment they gave up, and whether they were spoken to after that."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from reports.catalogue.registry import run
from reports.source import Source
from reports.tables.report import Report
from tests.support.report_facts import NOON, Row
from tests.support.requests import a_request

ANN = "+12025550143"
SECOND = timedelta(seconds=1)


def told(visit: Any, outcome: str, came: float, wait: float | None, number: str | None = ANN, **more: Any) -> Row:
    """A visit of a number that came so many seconds after noon, and waited so many."""
    return {**visit(outcome, wait, at=NOON + came * SECOND), "from_number": number, **more}


def called(number: str, answered: float | None, direction: str | None = "outgoing") -> Row:
    at = None if answered is None else NOON + answered * SECOND
    return {"to_number": number, "direction": direction, "initiated_at": NOON, "answered_at": at, "status": "ended"}


def abandonment(source: Source, **options: Any) -> Report:
    return run("abandonment", source, a_request(NOON + timedelta(days=2), **options))


def callers(source: Source, **options: Any) -> list[Any]:
    return list(abandonment(source, **options).section("callers").rows())


def test_the_last_moment_of_giving_up_counts_and_not_the_last_to_come(fill: Any, visit: Any) -> None:
    source = fill(
        told(visit, "abandoned", 0, 400, queue="sales", call_session_id="first"),
        told(visit, "abandoned", 10, 5, queue="support", call_session_id="second"),
    )
    (row,) = callers(source)
    assert (row["abandoned_at"], row["wait_ms"]) == (NOON + 400 * SECOND, 400_000)
    assert (row["queue"], row["call_session_id"], row["times"]) == ("sales", "first", 2)


def test_of_two_legs_that_give_up_at_one_moment_one_is_told_and_it_is_always_the_same(fill: Any, visit: Any) -> None:
    legs = [
        told(visit, "abandoned", came, 30 - came, visit_id=f"{came}", call_session_id=f"{came}") for came in range(9)
    ]
    (row,) = callers(fill(*reversed(legs)))
    assert (row["call_session_id"], row["wait_ms"], row["times"]) == ("0", 30_000, 9)


@pytest.mark.parametrize(
    ("came", "wait", "since"),
    [
        (-20, 15, False),  # answered before they gave up
        (-20, 79, False),  # came before and was answered a second before they gave up
        (-20, 81, True),  # came before and was answered a second after
        (-20, 80, False),  # at one moment is not after
        (61, 5, True),
        (3_000_000, 5, True),  # weeks after the period
    ],
)
def test_an_answer_counts_by_when_it_was_given(fill: Any, visit: Any, came: float, wait: float, *, since: bool) -> None:
    source = fill(told(visit, "abandoned", 0, 60), told(visit, "answered", came, wait, queue="sales"))
    (row,) = callers(source, to="2026-03-03")
    assert row["answered_since"] is since


@pytest.mark.parametrize(("bridged", "since"), [(59, False), (61, True)])
def test_a_bridge_without_a_dequeue_is_a_moment_at_which_they_were_spoken_to(
    fill: Any, visit: Any, bridged: float, *, since: bool
) -> None:
    bridge = told(visit, "answered", 1, None, left_at_latest=NOON + bridged * SECOND)
    (row,) = callers(fill(bridge, told(visit, "abandoned", 0, 60)))
    assert row["answered_since"] is since


def test_an_answer_of_which_nobody_said_when_the_visit_began_counts(fill: Any, visit: Any) -> None:
    lone = {**visit("answered", None, at=None), "from_number": ANN, "left_at": NOON + 90 * SECOND}
    (row,) = callers(fill(told(visit, "abandoned", 0, 60), lone))
    assert row["answered_since"] is True


def test_visits_that_ended_in_another_way_are_no_answers(fill: Any, visit: Any) -> None:
    ends = [told(visit, outcome, 70, 5) for outcome in ("failed_bridge", "timed_out", "left", "unknown")]
    (row,) = callers(fill(told(visit, "abandoned", 0, 60), *ends))
    assert row["answered_since"] is False


@pytest.mark.parametrize(
    ("call", "since"),
    [
        (called("001 202 555 0143", 61), True),
        (called(ANN, 59), False),
        (called(ANN, None), False),
        (called(ANN, 61, "incoming"), False),
        (called(ANN, 61, None), False),
        (called("+12025550144", 61), False),
    ],
)
def test_an_outgoing_leg_to_their_number_that_was_answered_after_that_is_an_answer(
    fill: Any, visit: Any, call: Row, *, since: bool
) -> None:
    (row,) = callers(fill(told(visit, "abandoned", 0, 60), calls=(call,)))
    assert row["answered_since"] is since


def test_of_an_outgoing_leg_that_waited_in_a_queue_whom_it_had_called_is_called_back(fill: Any, visit: Any) -> None:
    ours = "+12025550100"
    source = fill(
        told(visit, "abandoned", 20, 60, ours, to_number=ANN, call_leg_id="callback"),
        told(visit, "abandoned", 0, 9, ANN, to_number=ours, call_leg_id="call"),
        calls=(
            {**called(ANN, 19), "from_number": ours, "call_leg_id": "callback"},
            {**called(ours, 0, "incoming"), "from_number": ANN, "call_leg_id": "call"},
        ),
    )
    (row,) = callers(source)
    assert (row["from_number"], row["to_number"], row["times"]) == (ANN, ours, 2)
    assert (row["abandoned_at"], row["answered_since"]) == (NOON + 80 * SECOND, False)


def test_spellings_of_one_number_are_one_person_as_told_the_last_time(fill: Any, visit: Any) -> None:
    source = fill(
        told(visit, "abandoned", 0, 60, "12025550143"),
        told(visit, "abandoned", 300, 60, "+1 202-555-0143"),
        told(visit, "abandoned", 100, 60, "sip:+12025550143@example.com"),
        told(visit, "abandoned", 0, 60, "+12025550144"),
        told(visit, "answered", 500, 9, "0012025550144"),
    )
    first, second = callers(source)
    assert (first["from_number"], first["times"], first["answered_since"]) == ("+1 202-555-0143", 3, False)
    assert (second["from_number"], second["times"], second["answered_since"]) == ("+12025550144", 1, True)


def test_nobody_is_in_no_row_answers_nobody_and_is_counted_apart(fill: Any, visit: Any) -> None:
    numbers = ["anonymous", "Restricted", "+266696687", "+1", "sip:anonymous@anonymous.invalid", "", None]
    source = fill(
        *(told(visit, "abandoned", n, 60, number) for n, number in enumerate(numbers)),
        told(visit, "answered", 900, 9, "anonymous"),
        told(visit, "abandoned", 0, 60),
    )
    report = abandonment(source)
    assert [row["from_number"] for row in report.section("callers").rows()] == [ANN]
    assert [note for note in report.notes if note.startswith("7 visits")] == [
        "7 visits were abandoned by callers of unknown number, and are in no row: 2 told none, 5 one that nobody can "
        "call (withheld, anonymous, restricted, unknown, and the like)."
    ]


def test_who_gave_up_without_a_known_beginning_is_called_back_too(fill: Any, visit: Any) -> None:
    lone = {**visit("abandoned", None, at=None), "from_number": ANN, "left_at": NOON + 90 * SECOND}
    before = {**lone, "from_number": "+12025550144", "left_at": NOON - timedelta(days=3)}
    (row,) = callers(fill(lone, before, told(visit, "answered", 0, 60)), from_="2026-03-02", to="2026-03-03")
    assert (row["from_number"], row["abandoned_at"], row["wait_ms"]) == (ANN, NOON + 90 * SECOND, None)
    assert row["answered_since"] is False


def test_only_those_of_the_queues_asked_for_are_listed_and_an_answer_in_another_counts(fill: Any, visit: Any) -> None:
    source = fill(
        told(visit, "abandoned", 0, 60, queue="sales"),
        told(visit, "abandoned", 500, 60, queue="support"),
        told(visit, "answered", 100, 9, queue="support"),
    )
    (row,) = callers(source, queues=("sales",))
    assert (row["queue"], row["times"], row["answered_since"]) == ("sales", 1, True)


def test_those_whom_nobody_has_spoken_to_since_come_first_the_latest_before_the_rest(fill: Any, visit: Any) -> None:
    late: datetime = NOON + timedelta(minutes=9)
    source = fill(
        told(visit, "abandoned", 0, 60, "+12025550141"),
        told(visit, "abandoned", 100, 60, "+12025550142"),
        told(visit, "abandoned", 200, 60, "+12025550143"),
        {**visit("answered", 1, at=late), "from_number": "+12025550143"},
    )
    assert [row["from_number"][-1] for row in callers(source)] == ["2", "1", "3"]
