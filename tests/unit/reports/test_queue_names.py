"""Queues that were never heard of: who asks for one is told which there are, whoever defines one is told too."""

from datetime import timedelta
from typing import Any

import pytest

from reports.catalogue.registry import run
from reports.errors import RequestError
from reports.request import queue_names
from reports.request.effective_policy import QueuePolicy
from reports.request.request import Request
from tests.support.report_facts import NOON
from tests.support.requests import a_request


def asked(*queues: str, defined: tuple[str, ...] = ()) -> Request:
    policies = tuple(QueuePolicy(queue=name) for name in defined)
    return a_request(NOON + timedelta(days=1), queues=queues, policies=policies)


def refused(source: Any, request: Request) -> str:
    with pytest.raises(RequestError) as error:
        queue_names.require(source, request)
    return str(error.value)


def test_an_unknown_queue_is_refused_with_those_there_are(fill: Any, visit: Any) -> None:
    source = fill(visit(), visit(queue="sales"), visit(queue="sales"), visit(queue=None))
    assert refused(source, asked("sales", "nigth")) == "no queue is called 'nigth'; there are 'sales', 'support'"


@pytest.mark.parametrize("name", ["Support", "SUPPORT", " support", "support "])
def test_one_that_differs_in_capitals_or_spaces_is_refused_with_what_is_meant(fill: Any, visit: Any, name: str) -> None:
    source = fill(visit(), visit(queue="sales"))
    expected = f"no queue is called '{name}'; there is 'support', and names are exact; others are 'sales'"
    assert refused(source, asked(name)) == expected
    assert refused(source, asked(name, defined=(name,))) == expected


def test_one_that_is_defined_may_be_yet_to_come(fill: Any, visit: Any) -> None:
    source = fill(visit())
    request = asked("night", defined=("night",))
    queue_names.require(source, request)
    report = run("sla", source, request)
    assert report.notes[0] == "Not known: no queue is called 'night'; there is 'support'."
    assert report.unheard == ("night",)


def test_one_of_which_only_a_visit_without_a_beginning_or_an_event_was_heard_is_known(fill: Any, visit: Any) -> None:
    source = fill(visit(), visit(queue="sales", at=None), stored_events=({"queue": "night", "occurred_at": NOON},))
    queue_names.require(source, asked("sales", "night"))
    assert run("sla", source, asked("sales", "night")).unheard == ()


def test_in_an_empty_warehouse_every_queue_is_yet_to_come(fill: Any) -> None:
    source, request = fill(), asked("support", defined=("night",))
    queue_names.require(source, request)
    report = run("sla", source, request)
    assert (report.unheard, report.notes[0][:25]) == ((), "There are no visits to re")


def test_a_definition_that_no_visit_uses_is_told_where_definitions_matter(fill: Any, visit: Any) -> None:
    source, request = fill(visit()), asked(defined=("Support", "support"))
    said = "A definition in holdtime.toml is used by no visit: no queue is called 'Support'; there is 'support'"
    assert run("sla", source, request).notes[0] == f"{said}, and names are exact."
    assert said not in " ".join(run("calls", source, request).notes)
    assert said not in " ".join(run("sla", source, asked("support", defined=("Support",))).notes)


def test_names_are_bounded_in_number_and_length_and_safe_to_show(fill: Any, visit: Any) -> None:
    source = fill(*(visit(queue=f"q{n:02}\x1b[2J\n" + "z" * 5_000) for n in range(30)))
    said = refused(source, asked("x\N{RIGHT-TO-LEFT OVERRIDE}" + "y" * 5_000))
    assert said.isprintable()
    assert said.endswith(" and 20 more")
    assert len(said) < 1_200
