"""A public key that is another account's: seen by who posts, in the log, in /status and by the doctor, at once."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from holdtime.commands.simulate import Simulation
from tests.support.post import a_free_port
from tests.support.waiting import PATIENCE_S, until


@dataclass
class Place:
    """A folder, an environment, and the commands that are run there."""

    folder: Path
    web: int = field(default_factory=a_free_port)
    admin: int = field(default_factory=a_free_port)
    key: str = ""
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "COLUMNS": "300",
            "TELNYX_PUBLIC_KEY": self.key,
            "HOLDTIME_HTTP_PORT": str(self.web),
            "HOLDTIME_ADMIN_PORT": str(self.admin),
        }
        command = [sys.executable, "-m", "holdtime", *arguments]
        process = subprocess.Popen(
            command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.started.append(process)
        return process

    def run(self, *arguments: str) -> tuple[int, list[str]]:
        process = self.start(*arguments)
        words, _ = process.communicate(timeout=PATIENCE_S)
        return process.returncode, words.splitlines()

    def simulate(self, *more: str) -> tuple[int, list[str]]:
        url = f"http://127.0.0.1:{self.web}/webhooks/telnyx"
        return self.run("simulate", "--hours", "0.1", "--url", url, *more)

    def status(self) -> Any:
        until(lambda: self.answer("/status"), lambda: "no answer")
        return json.loads(self.answer("/status"))

    def answer(self, path: str) -> bytes:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=5) as answer:
                return bytes(answer.read())
        except OSError:
            return b""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    found = Place(tmp_path)
    yield found
    for process in found.started:
        process.kill()
        process.communicate()


def test_where_nothing_listens_a_simulation_says_so_at_once(place: Place) -> None:
    began = time.monotonic()
    code, words = place.simulate()
    assert code == 2
    assert words == [f"✗ nothing listens on 127.0.0.1:{place.web}: start `holdtime up`, or give its address with --url"]
    assert time.monotonic() - began < 30


def test_the_key_of_another_account_is_seen_by_everybody(place: Place) -> None:
    place.key = Simulation.prepare(place.folder / "other.key").public_key
    up = place.start("up")
    assert place.status()["deliveries"]["refused"] == 0

    code, words = place.simulate()
    assert code == 1
    why = "401: the receiver refused the signature: is its TELNYX_PUBLIC_KEY the simulator's, and its clock right?"
    assert words[0] == why
    assert words[1].startswith("0 accepted · ")
    assert words[2].endswith(f" given up after {why}")

    status = place.status()
    refused = status["deliveries"]["refused"]
    assert refused > 100
    assert status["deliveries"]["accepted"] == 0
    assert status["deliveries"]["last_accepted_at"] is None
    assert status["log_end"] == 0, "nothing that is forged is kept"

    code, words = place.run("doctor")
    assert code == 1
    (line,) = [line for line in words if "deliveries" in line]
    assert line.startswith("✗")
    assert f"{refused:,} deliveries were refused since" in line
    assert "none accepted" in line
    assert any("is TELNYX_PUBLIC_KEY this account's?" in line for line in words)

    code, words = place.simulate("--key", "other.key", "--forged", "0.5")
    assert code == 0, "forgeries were asked for, and refused"
    assert place.status()["deliveries"]["accepted"] > 100
    _, words = place.run("doctor")
    assert any("deliveries" in line and line.startswith("•") for line in words), "anybody can forge: no fault"

    up.terminate()
    told = [json.loads(line) for line in up.communicate(timeout=PATIENCE_S)[0].splitlines() if "_refused" in line]
    assert len(told) <= 1 + PATIENCE_S / 60 * 3, "a line a minute"
    assert sum(line["count"] for line in told) == told[-1]["refused"]
