"""What the doctor says of who can write, or did write, the replica."""

import grp
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdtime.config.configuration import Publish
from holdtime.doctor.checks import Check, Severity
from holdtime.doctor.replica import access
from holdtime.service import replica_access
from warehouse.database import open_writer
from warehouse.replica import OWNER_ALONE, Access, publish

# Opens the file for writing, says so, and waits until it is ended.
WRITER = """
import duckdb, sys
db = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Path]:
    """A published replica."""
    db = open_writer(tmp_path / "warehouse.duckdb")
    publish(db, tmp_path / "warehouse.duckdb", tmp_path / "replica.duckdb")
    yield tmp_path / "replica.duckdb"
    db.close()


def found(replica: Path, publish: Publish | None = None) -> list[Check]:
    return list(access(replica, publish or Publish()))


def test_a_replica_as_it_was_published_is_no_matter(replica: Path) -> None:
    assert found(replica) == []


def test_a_write_ahead_log_beside_it_fails(replica: Path) -> None:
    replica.with_name("replica.duckdb.wal").touch()
    (check,) = found(replica)
    assert (check.verdict, "replica.duckdb.wal is there" in check.found) == (Severity.FAILED, True)


def test_a_mode_or_a_group_that_is_not_the_one_of_the_settings_is_a_note(replica: Path) -> None:
    group = grp.getgrgid(os.getegid()).gr_name
    (check,) = found(replica, Publish(group=group))
    assert (check.verdict, "mode 0400" in check.found, "mode 0440" in check.found) == (Severity.NOTE, True, True)
    replica.chmod(0o600)
    (check,) = found(replica)
    assert "mode 0600" in check.found


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says who holds a file")
def test_a_program_that_has_it_open_for_writing_is_named(replica: Path) -> None:
    replica.chmod(0o600)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(replica)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"open\n"
        checks = found(replica)
        writer.communicate(b"")
    assert f"process {writer.pid} has {replica} open for writing" in [check.found for check in checks]


def test_access_is_as_the_settings_say() -> None:
    group = grp.getgrgid(os.getegid())
    assert replica_access.of(Publish()) == Access(OWNER_ALONE)
    assert replica_access.of(Publish(mode="0444")) == Access(0o444)
    assert replica_access.of(Publish(group=group.gr_name)) == Access(0o440, group.gr_gid)
    with pytest.raises(ValueError, match=r"\[publish\] group: expected a group of this machine, found 'no such group'"):
        replica_access.of(Publish(group="no such group"))


@pytest.mark.parametrize("mode", ["0640", "640", "0040", "rw", "", "04400"])
def test_a_mode_by_which_somebody_writes_or_the_owner_reads_nothing_is_a_fault(mode: str) -> None:
    with pytest.raises(ValueError, match="expected a mode by which the owner reads and nobody writes, such as 0440"):
        Publish(mode=mode)
