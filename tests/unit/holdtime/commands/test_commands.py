"""Whatever a command is called with, it ends with a code and, where something is wrong, with a line about it."""

from collections.abc import Iterator

import pytest
from hypothesis import given

from tests.support.called import Caller
from tests.support.calls import (
    Call,
    calls,
    commands,
)
from tests.support.effort import tried


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with Caller.started(tmp_path_factory.mktemp("calls")) as started:
        yield started


def test_the_calls_are_of_every_command() -> None:
    assert {words[0] for words in commands()} >= {"up", "report", "call", "doctor", "simulate", "schedule", "reconcile"}
    assert ("rejected", "replay") in commands()
    assert ("report", "diff") in commands()


def test_a_call_that_is_right_is_carried_out(caller: Caller) -> None:
    ended = caller.run(Call(("report", "sla", "--from", "2026-03", "--format", "csv")))
    assert (ended.code, ended.err) == (0, "")
    assert "support" in ended.out


@tried(30)
@given(call=calls())
def test_no_call_ends_in_a_traceback(caller: Caller, call: Call) -> None:
    assert caller.run(call).faults(call) == []
