"""Standard input, output and error, however a command finds them: processes, because only there they are real."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import polars
import pytest

from holdtime.service.allocator import TUNABLES
from processors.landing.landing import Landing
from tests.support.builders import (
    LATER,
    NOON,
    a_batch,
    a_call,
    bodies,
)
from warehouse.database import open_writer

HOLDTIME = f"{shlex.quote(sys.executable)} -m holdtime"
AS_OF = 3
OTHER = {"HOLDTIME_REPLICA": "r"}
CLOSED = "standard output: Bad file descriptor"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a replica, in which somebody waited in a queue whose name is not ASCII."""
    folder = tmp_path_factory.mktemp("streams")
    (folder / "data").mkdir()
    db = open_writer(folder / "data" / "replica.duckdb")
    call = a_call().queued(at=NOON, queue="café 名").answered(after=41).talked(300)
    Landing(db).land(a_batch(bodies(call)), LATER)
    db.close()
    return folder


def shell(folder: Path, command: str, **environment: str) -> tuple[int, bytes, str]:
    """What a shell's command ends with, says, and says on standard error."""
    ended = subprocess.run(
        ["bash", "-c", command.replace("HOLDTIME ", f"{HOLDTIME} ")],
        cwd=folder,
        env={"PATH": os.environ["PATH"], TUNABLES: os.environ[TUNABLES], "HOME": str(folder), **environment},
        capture_output=True,
        check=False,
        timeout=60,
    )
    return ended.returncode, ended.stdout, ended.stderr.decode()


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("HOLDTIME report sla >&-", 2, CLOSED),
        ("HOLDTIME --help >/dev/full", 2, "standard output: No space left on device"),
        ("HOLDTIME report sla --format json >/dev/full", 2, "standard output: No space left on device"),
        ("HOLDTIME_REPLICA=r HOLDTIME replay - <&-", 2, "-: cannot be read: Bad file descriptor"),
        ("HOLDTIME report fly 2>/dev/full", 2, ""),
        ("HOLDTIME report sla --format json | true; exit ${PIPESTATUS[0]}", 1, ""),
    ],
)
def test_a_stream_that_takes_nothing_is_a_code_and_a_line(folder: Path, command: str, code: int, said: str) -> None:
    found, out, err = shell(folder, command)
    assert (found, out) == (code, b""), err
    assert said in err
    assert len(err.splitlines()) == bool(said)


def test_where_streams_are_closed_no_database_is_written_to_by_mistake(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "data", tmp_path / "data")
    before = (tmp_path / "data" / "replica.duckdb").read_bytes()
    assert shell(tmp_path, "HOLDTIME doctor <&- >&- 2>&-")[0] == 2
    assert (tmp_path / "data" / "replica.duckdb").read_bytes() == before


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1"])
def test_a_terminal_that_is_not_utf8_gets_a_mark_for_what_it_lacks(folder: Path, encoding: str) -> None:
    code, out, err = shell(folder, "HOLDTIME report sla", PYTHONIOENCODING=encoding)
    assert (code, err) == (0, "")
    assert "café ??".encode(encoding, "replace") in out, "a mark for each cell of the terminal"
    lines = out.decode(encoding).splitlines()
    ends = {len(line) for line in lines[lines.index(next(line for line in lines if "caf" in line)) :][:3] if line}
    assert len(ends) == 1, "columns stay in line"


def test_a_terminal_in_ascii_still_tells_what_is_well_from_what_is_not(folder: Path) -> None:
    code, out, _ = shell(folder, "HOLDTIME doctor", PYTHONIOENCODING="ascii")
    assert code == 1
    assert b"x keys " in out
    assert b"+ replica " in out


@pytest.mark.parametrize("form", ["csv", "json"])
def test_what_is_for_programs_is_the_same_bytes_wherever_it_goes(folder: Path, form: str) -> None:
    command = f"HOLDTIME report queues --as-of {AS_OF} --format {form}"
    _, out, _ = shell(folder, command, PYTHONIOENCODING="iso-8859-1")
    code, _, err = shell(folder, f"{command} --output same.{form}")
    assert (code, err) == (0, "")
    assert out == (folder / f"same.{form}").read_bytes()


def test_csv_for_excel_begins_with_a_mark_and_is_else_the_same(folder: Path) -> None:
    _, plain, _ = shell(folder, "HOLDTIME report queues --as-of 3 --format csv")
    _, marked, _ = shell(folder, "HOLDTIME report queues --as-of 3 --bom --format csv", PYTHONIOENCODING="ascii")
    assert marked == b"\xef\xbb\xbf" + plain
    assert shell(folder, "HOLDTIME report queues --as-of 3 --bom --output excel.csv")[0] == 0
    assert (folder / "excel.csv").read_bytes() == marked
    assert polars.read_csv(marked).columns[0] == "queue"
    with duckdb.connect() as db:
        db.execute("select queue from read_csv($1)", [str(folder / "excel.csv")])
    code, out, err = shell(folder, "HOLDTIME report queues --bom --format json")
    assert (code, out) == (2, b"")
    assert "--bom is for csv, and json was asked for" in err


@pytest.mark.parametrize("columns", ["0", "1"])
def test_a_terminal_without_room_still_gets_the_line(folder: Path, columns: str) -> None:
    assert shell(folder, "HOLDTIME fly", COLUMNS=columns)[::2] == (
        2,
        "✗ No such command 'fly': `holdtime --help` shows what there is\n",
    )


def test_an_argument_in_other_bytes_than_utf8_is_named(folder: Path) -> None:
    code, _, err = shell(folder, "HOLDTIME call $'\\xff'")
    assert (code, err) == (2, "✗ argument 2: expected text in UTF-8, found '\\udcff'\n")


def test_an_interrupt_ends_a_command_without_a_word(folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "holdtime", "replay", "-"],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOLDTIME_WAREHOUSE": "w",
            "HOLDTIME_LOG": "sqlite:l",
            "HOLDTIME_REPLICA": "r",
        },
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while not (folder / "w").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, b"")
