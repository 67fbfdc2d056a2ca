"""How a process comes to have a larger cache of small blocks."""

import json
import os
import subprocess
import sys

import pytest

from holdtime import __main__ as console_script
from holdtime.doctor import surroundings
from holdtime.doctor.checks import Severity
from holdtime.service.allocator import (
    CACHE,
    MAX_BLOCKS,
    TUNABLES,
)

SAYS = """
import json, os, sys
print("begun")
from holdtime.service import allocator
allocator.enlarge_cache()
print(json.dumps([os.getpid(), os.environ.get(allocator.TUNABLES), sys.argv[1:]]))
"""


def started(*arguments: str, tunables: str | None = None) -> tuple[int, list[str]]:
    """The id of a process that makes room, and the lines that it printed."""
    surroundings = {name: value for name, value in os.environ.items() if name != TUNABLES}
    if tunables is not None:
        surroundings[TUNABLES] = tunables
    with subprocess.Popen(
        [sys.executable, "-u", "-c", SAYS, *arguments], stdout=subprocess.PIPE, text=True, env=surroundings
    ) as process:
        told, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    return process.pid, told.splitlines()


def test_a_process_starts_again_once_and_stays_the_same_with_the_same_arguments() -> None:
    pid, (*begun, last) = started("report", "--queue", "a b", "")
    assert begun == ["begun", "begun"]
    assert json.loads(last) == [pid, f"{CACHE}={MAX_BLOCKS}", ["report", "--queue", "a b", ""]]


def test_what_its_starter_tuned_stays() -> None:
    pid, (*_, last) = started(tunables="glibc.malloc.arena_max=4")
    assert json.loads(last) == [pid, f"glibc.malloc.arena_max=4:{CACHE}={MAX_BLOCKS}", []]


@pytest.mark.parametrize("chosen", [f"{CACHE}=100", f"glibc.malloc.arena_max=4:{CACHE}=0"])
def test_a_size_that_its_starter_chose_is_kept_and_nothing_starts_again(chosen: str) -> None:
    pid, (*begun, last) = started(tunables=chosen)
    assert begun == ["begun"]
    assert json.loads(last) == [pid, chosen, []]


@pytest.mark.parametrize(
    ("arguments", "restarts"),
    [
        (["up"], True),
        (["process", "--config", "other.toml"], True),
        (["up", "--help"], False),
        (["ingest"], False),
        (["report", "up"], False),
        (["--help"], False),
        ([], False),
    ],
)
def test_only_commands_that_land_for_as_long_as_they_run_start_again(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], restarts: bool
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(sys, "argv", ["holdtime", *arguments])
    monkeypatch.setattr("holdtime.cli.streams.prepare", lambda: None)
    monkeypatch.setattr("holdtime.service.allocator.enlarge_cache", lambda: calls.append("enlarge"))
    monkeypatch.setattr("holdtime.cli.main.main", lambda: calls.append("run"))
    console_script.main()
    assert calls == (["enlarge", "run"] if restarts else ["run"])


def test_the_doctor_notes_a_size_that_nobody_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TUNABLES, "glibc.malloc.arena_max=4")
    (check,) = surroundings.allocator_check()
    assert (check.name, check.verdict) == ("allocator", Severity.NOTE)
    assert f"{TUNABLES}=glibc.malloc.arena_max=4:{CACHE}={MAX_BLOCKS}" in check.do
    monkeypatch.setenv(TUNABLES, f"{CACHE}=0")
    assert list(surroundings.allocator_check()) == []
