"""The command line as somebody meets it: a process, its words, its exit code, and what it leaves behind."""

import base64
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from nacl.signing import SigningKey

from processors.landing.landing import Landing
from tests.support.builders import (
    LATER,
    NOON,
    a_batch,
    a_call,
    bodies,
)
from warehouse.database import open_writer

KEY = base64.b64encode(bytes(SigningKey(bytes(range(32))).verify_key)).decode()


@dataclass(frozen=True)
class CommandResult:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """All of it on one line: boxes and line ends depend on the width."""
        return " ".join((self.out + self.err).split())


@dataclass(frozen=True)
class Machine:
    """An empty folder, and an environment that says nothing but what it is told."""

    folder: Path

    def run(self, *arguments: str, **environment: str) -> CommandResult:
        """Run a command to its end."""
        clean = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "COLUMNS": "200", "PYTHONWARNINGS": "error"}
        ended = subprocess.run(
            [sys.executable, "-m", "holdtime", *arguments],
            cwd=self.folder,
            env={**clean, **environment},
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )
        assert "Traceback" not in ended.stderr, ended.stderr.strip().splitlines()[-1]
        return CommandResult(ended.returncode, ended.stdout, ended.stderr)

    @property
    def files(self) -> set[str]:
        """What is in the folder."""
        return {str(each.relative_to(self.folder)) for each in self.folder.rglob("*")}


def a_replica(machine: Machine) -> None:
    """Put a replica with one answered call where commands look for it."""
    db = open_writer(machine.folder / "data" / "replica.duckdb")
    Landing(db).land(a_batch(bodies(a_call().queued(at=NOON).answered(after=4).talked(9))), LATER)
    db.close()
