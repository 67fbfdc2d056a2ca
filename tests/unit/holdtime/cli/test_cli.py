"""The command line as somebody meets it: a process, its words, its exit code, and what it leaves behind."""

import base64
import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import typer
from rich.text import Text

from holdtime.cli.main import app
from tests.support.builders import (
    NOON,
)
from tests.support.command_line import Machine, a_replica
from warehouse.database import open_writer

SECRET = "KEY0123456789_not-to-be-seen"
COMMANDS = ("demo", "up", "schedule", "report", "call", "rebuild", "replay", "rejected", "doctor", "simulate")


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(machine: Machine, command: str) -> None:
    said = machine.run(command, "--help")
    assert said.code == 0
    assert "Usage:" in said.out
    assert machine.files == set()


def test_nothing_that_a_help_text_says_is_taken_for_markup() -> None:
    texts = list(help_texts(typer.main.get_command(app)))
    assert len(texts) > 50
    assert [text for text in texts if Text.from_markup(text).plain != text] == []


def help_texts(command: Any) -> Iterator[str]:
    yield command.help or ""
    for parameter in command.params:
        yield getattr(parameter, "help", None) or ""
    for below in getattr(command, "commands", {}).values():
        yield from help_texts(below)


def test_no_command_is_wrong_use_and_shows_those_there_are(machine: Machine) -> None:
    said = machine.run()
    assert said.code == 2
    for command in COMMANDS:
        assert command in said.words


@pytest.mark.parametrize(
    "arguments", [("fly",), ("report",), ("report", "sla", "--colour"), ("simulate", "--hours", "-1"), ("up", "now")]
)
def test_wrong_use_exits_with_2_and_makes_nothing(machine: Machine, arguments: tuple[str, ...]) -> None:
    assert machine.run(*arguments).code == 2
    assert machine.files == set()


def test_all_that_is_wrong_with_a_configuration_is_named_at_once_and_nothing_is_made(machine: Machine) -> None:
    (machine.folder / "holdtime.toml").write_text("timezone = Athens\n")
    said = machine.run("up", TELNYX_PUBLIC_KEY="bm90IGEga2V5", HOLDTIME_HTTP_PORT="many", TELNYX_API_KEY=SECRET)
    assert said.code == 2
    for fault in ("TELNYX_PUBLIC_KEY", "HOLDTIME_HTTP_PORT", "holdtime.toml: expected TOML"):
        assert said.words.count(fault) == 1, said.words
    assert SECRET not in said.words
    assert machine.files == {"holdtime.toml"}


@pytest.mark.parametrize("toml", [None, "timezone = Athens"])
@pytest.mark.parametrize("command", ["up", "process"])
def test_all_that_is_wrong_with_a_machine_is_named_at_once_and_nothing_is_made(
    machine: Machine, taken_port: int, command: str, toml: str | None
) -> None:
    if toml is not None:
        (machine.folder / "holdtime.toml").write_text(toml)
    (machine.folder / "a file").touch()
    (machine.folder / "a folder").mkdir()
    said = machine.run(
        command,
        TELNYX_PUBLIC_KEY="",
        TELNYX_API_KEY=SECRET,
        HOLDTIME_HTTP_PORT=str(taken_port),
        HOLDTIME_LOG="mysql://root@localhost",
        HOLDTIME_WAREHOUSE="a folder",
        HOLDTIME_REPLICA="a file/replica.duckdb",
    )
    assert said.code == 2
    faults = [
        f"port {taken_port} of 127.0.0.1 is taken",
        "HOLDTIME_LOG: expected sqlite:PATH",
        "HOLDTIME_WAREHOUSE: a folder is a folder",
        "HOLDTIME_REPLICA: ",
        *(["TELNYX_PUBLIC_KEY"] if command == "up" else []),
        *(["holdtime.toml: expected TOML"] if toml else []),
    ]
    for fault in faults:
        assert said.words.count(fault) == 1, said.words
    assert said.words.count("✗") == len(faults), said.words
    assert SECRET not in said.words
    assert machine.files == {"a file", "a folder"} | ({"holdtime.toml"} if toml else set())


@pytest.mark.parametrize("command", ["up", "process", "reconcile"])
def test_a_taken_admin_port_is_named_with_the_other_faults(machine: Machine, taken_port: int, command: str) -> None:
    environment = {"TELNYX_PUBLIC_KEY": "x", "TELNYX_API_KEY": SECRET, "HOLDTIME_ADMIN_PORT": str(taken_port)}
    said = machine.run(command, HOLDTIME_HTTP_HOST="192.0.2.1", **environment)
    assert said.code == 2
    assert f"port {taken_port} of 127.0.0.1 is taken: stop what uses it, or set HOLDTIME_ADMIN_PORT" in said.words
    assert "see HOLDTIME_HTTP_HOST and _PORT" in said.words
    same = machine.run(command, HOLDTIME_HTTP_PORT=str(taken_port), **environment)
    assert (same.code, "HOLDTIME_ADMIN_PORT: expected another port" in same.words) == (2, True)


def test_an_unknown_time_zone_is_wrong_configuration(machine: Machine) -> None:
    (machine.folder / "holdtime.toml").write_text('timezone = "Mars/Olympus"\n')
    said = machine.run("report", "sla")
    assert said.code == 2
    assert "expected an IANA time zone" in said.words


def test_a_warehouse_in_use_is_named_together_with_a_bad_key(machine: Machine) -> None:
    db = open_writer(machine.folder / "data" / "warehouse.duckdb")
    said = machine.run("up", TELNYX_PUBLIC_KEY="x", HOLDTIME_HTTP_PORT="0")
    db.close()
    assert said.code == 2
    assert "TELNYX_PUBLIC_KEY" in said.words
    assert "warehouse.duckdb is locked" in said.words


def test_a_report_on_a_missing_replica_says_what_to_do(machine: Machine) -> None:
    said = machine.run("report", "sla")
    assert said.code == 2
    for word in ("data/replica.duckdb", "holdtime up", "HOLDTIME_REPLICA"):
        assert word in said.words
    assert machine.files == set()


def test_a_report_is_printed_and_exits_with_0(machine: Machine) -> None:
    a_replica(machine)
    said = machine.run("report", "sla", "--format", "json")
    assert said.code == 0, said.words
    json.loads(said.out)
    assert "support" in said.out
    assert said.err == ""


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("weather",), "weather"),
        (("sla", "--from", "yesteryear"), "yesteryear"),
        (("sla", "--tz", "Mars/Olympus"), "IANA"),
        (("sla", "--interval", "7m"), "7m"),
        (("sla", "--format", "pdf"), "pdf"),
        (("sla", "--output", "report.docx"), "docx"),
        (("sla", "--target", "80"), "found 80"),
        (("sla", "--as-of", "99"), "the last that did is 0:4"),
        (("diff", "99"), "the last that did is 0:4"),
        (("diff", "1", "4", "weather"), "weather"),
        (("sla", "--format", "png"), "--output FOLDER"),
        (("calls", "--queue", "Support", "--output", "c.csv"), "no queue is called 'Support'; there is 'support'"),
        (("diff", "1", "--queue", "night"), "no queue is called 'night'; there is 'support'"),
    ],
)
def test_a_report_that_cannot_be_made_says_what_was_expected(
    machine: Machine, arguments: tuple[str, ...], named: str
) -> None:
    a_replica(machine)
    said = machine.run("report", *arguments)
    assert said.code == 2
    assert named in said.words
    assert machine.files == {"data", "data/replica.duckdb"}


def test_what_changed_since_a_position_is_printed_and_leaves_nothing(machine: Machine) -> None:
    a_replica(machine)
    said = machine.run("report", "diff", "1", "--format", "csv", TMPDIR=str(machine.folder))
    assert said.code == 0, said.words
    assert "support,answered,0.0,1.0,1," in said.out
    assert (
        machine.run("report", "sla", "--as-of", "1", "--format", "csv").out.splitlines()[1].startswith("support,1,0,")
    )
    assert machine.files == {"data", "data/replica.duckdb"}


def test_a_report_is_written_in_the_format_that_its_name_says(machine: Machine) -> None:
    a_replica(machine)
    assert machine.run("report", "queues", "--output", "report.xlsx").code == 0
    assert machine.run("report", "waits", "--format", "png", "--output", "charts").code == 0
    made = {"report.xlsx", "charts", "charts/waits-waits.png"}
    assert machine.files - {"data", "data/replica.duckdb"} == made


def test_the_reports_there_are_can_be_listed(machine: Machine) -> None:
    said = machine.run("report", "list")
    assert said.code == 0
    assert [line.split()[0] for line in said.out.splitlines()][:3] == ["sla", "queues", "abandonment"]


def test_yesterday_as_of_a_position_is_the_day_before_it_landed(machine: Machine) -> None:
    a_replica(machine)
    options = ("report", "queues", "--from", "today", "--as-of", "4", "--format", "json", "--tz", "UTC")
    said = machine.run(*options)
    assert said.code == 0, said.words
    assert json.loads(said.out)["period"]["from"] == f"{NOON:%Y-%m-%d}T00:00:00+00:00"


def test_definitions_of_queues_are_read_from_the_file(machine: Machine) -> None:
    a_replica(machine)
    (machine.folder / "holdtime.toml").write_text(
        '[[queue]]\nname = "support"\nthreshold_secs = 3\ntimezone = "Asia/Kolkata"\n'
    )
    said = machine.run("report", "sla", "--queue", "support", "--explain", "--format", "json")
    document = json.loads(said.out)
    assert (document["period"]["tz"], document["definition"]["threshold_secs"]) == ("Asia/Kolkata", 3)
    (explained,) = [section for section in document["sections"] if section["name"] == "explained"]
    assert "0 / (1 - 0 - 0)" in {row["worked"] for row in explained["rows"]}


def test_what_changed_is_a_command_that_explains_itself(machine: Machine) -> None:
    assert "late events" in machine.run("report", "diff", "--help").words.lower()
    assert machine.run("report", "diff").code == 2


def test_a_rebuild_without_a_warehouse_makes_none(machine: Machine) -> None:
    said = machine.run("rebuild")
    assert said.code == 2
    assert "nothing to rebuild" in said.words
    assert machine.files == set()


def test_a_rebuild_leaves_the_same_facts_and_a_replica(machine: Machine) -> None:
    a_replica(machine)
    (machine.folder / "data" / "replica.duckdb").rename(machine.folder / "data" / "warehouse.duckdb")
    said = machine.run("rebuild")
    assert said.code == 0, said.words
    with duckdb.connect(machine.folder / "data" / "replica.duckdb", read_only=True) as db:
        assert db.execute("select outcome, wait_ms from queue_visits").fetchall() == [("answered", 4_000)]


def test_a_rebuild_brings_an_older_warehouse_up_to_date(machine: Machine) -> None:
    (machine.folder / "data").mkdir()
    older = Path(__file__).parents[3] / "fixtures" / "warehouse-v1.duckdb"
    shutil.copy(older, machine.folder / "data" / "warehouse.duckdb")
    said = machine.run("rebuild")
    assert said.code == 0, said.words
    assert machine.run("report", "conferences", "--from", "2026-02-01", "--to", "2026-02-04").code == 0
    assert machine.files == {"data", "data/warehouse.duckdb", "data/replica.duckdb", "data/live.duckdb"}


def test_a_report_of_an_older_replica_says_what_publishes_a_new_one(machine: Machine) -> None:
    (machine.folder / "data").mkdir()
    older = Path(__file__).parents[3] / "fixtures" / "warehouse-v1.duckdb"
    shutil.copy(older, machine.folder / "data" / "replica.duckdb")
    said = machine.run("report", "sla")
    assert said.code == 2
    assert "schema version 1" in said.words
    assert "publishes a new replica" in said.words


def test_a_simulators_public_key_stays_the_same_and_its_seed_is_its_owners(machine: Machine) -> None:
    first, second = (machine.run("simulate", "--public-key") for _ in range(2))
    assert (first.code, second.code) == (0, 0)
    assert first.out == second.out
    assert len(base64.b64decode(first.out)) == 32
    assert (machine.folder / "data" / "simulator.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--url", "http://example.com/webhooks/telnyx"), "not this machine"),
        (("--url", "ftp://127.0.0.1/"), "expected a URL"),
        (("--hours", "0.01", "--start", "soon"), "soon"),
    ],
)
def test_a_simulation_that_cannot_be_posted_is_wrong_use(
    machine: Machine, arguments: tuple[str, ...], named: str
) -> None:
    said = machine.run("simulate", "--hours", "0.01", *arguments)
    assert said.code == 2
    assert named in said.words
