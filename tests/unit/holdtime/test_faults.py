"""Errors of the machine as lines: the path, the reason, and what to do; and whose a file is that we may not read."""

import errno
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from holdtime.faults import named
from processors.landing.landing import Landing
from tests.support.builders import (
    LATER,
    NOON,
    a_batch,
    a_call,
    bodies,
)
from warehouse import os_error
from warehouse.database import open_writer

UNPRIVILEGED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"] if os.geteuid() == 0 else []


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "x"), "x: No space left on device: make room"),
        (FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "x/y"), "x/y: No such file or directory: look"),
        (FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)), "the working folder was removed: change"),
        (OSError("all of it"), "all of it"),
        (OSError(errno.EXDEV, "odd", b"a", None, b"b"), "b: odd"),
        (MemoryError(), "there is too little memory: free some"),
        (duckdb.OutOfMemoryException("failed\nmore"), "there is too little memory (failed): free some"),
        (duckdb.TransactionException("failed\nmore"), "the warehouse or its replica cannot be used (failed): "),
        (sqlite3.OperationalError("disk I/O error"), "HOLDTIME_LOG or HOLDTIME_SCHEDULES cannot be used (disk I/O"),
    ],
)
def test_an_error_of_the_machine_is_a_line(error: Exception, line: str) -> None:
    (found,) = named(error) or [""]
    assert found.startswith(line)


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), RuntimeError("x"), AssertionError()])
def test_an_error_of_holdtime_is_none(error: Exception) -> None:
    assert named(error) is None


def test_denied_says_whose_the_nearest_file_is_that_can_be_seen(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(tmp_path / "folder", 12_345, 54_321)
    said = os_error.line(PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "folder" / "a" / "b")))
    whose = "user 12345, group 54321" if os.geteuid() == 0 else "belongs to"
    assert said.startswith(f"{tmp_path}/folder/a/b: Permission denied: {tmp_path}/folder belongs to ")
    assert whose in said
    assert "mode 0700" in said


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A folder whose data another user has, or nobody may read."""
    (tmp_path / "data").mkdir()
    db = open_writer(tmp_path / "data" / "replica.duckdb")
    Landing(db).land(a_batch(bodies(a_call().queued(at=NOON).answered(after=4).talked(9))), LATER)
    db.close()
    (tmp_path / "data").chmod(0)
    return tmp_path


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    ended = subprocess.run(
        [*UNPRIVILEGED, sys.executable, "-m", "holdtime", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOLDTIME_HTTP_PORT": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize(
    "arguments", [("report", "sla"), ("call", "A1"), ("rejected", "list"), ("report", "diff", "1")]
)
def test_a_replica_of_another_user_is_a_line_that_says_whose_it_is(closed: Path, arguments: tuple[str, ...]) -> None:
    code, out, err = run(closed, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("✗ data/replica.duckdb: Permission denied: data belongs to ")
    assert len(err.splitlines()) == 1


def test_up_names_every_file_that_it_may_not_use_and_makes_none(closed: Path) -> None:
    code, _, err = run(closed, "up")
    assert code == 2
    for name in ("TELNYX_PUBLIC_KEY", "data/log.sqlite", "data/warehouse.duckdb", "data/replica.duckdb"):
        assert name in err
    assert all(line.startswith("✗ ") for line in err.splitlines())


def test_the_doctor_goes_on_where_one_check_may_not_look(closed: Path) -> None:
    code, out, err = run(closed, "doctor")
    assert (code, err) == (1, "")
    for check in ("configuration", "keys", "log", "warehouse", "server", "replica"):
        assert f" {check} " in out
    assert " ".join(out.split()).count("belongs to") == 3
