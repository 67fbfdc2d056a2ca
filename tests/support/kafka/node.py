"""holdtime's processes around a Kafka cluster, and what their readers find."""

import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from tests.support.center import Center
from tests.support.waiting import PATIENCE_S, until


@dataclass
class Node(Center):
    """One process, of one role, over a log on Kafka; all nodes of a folder share its warehouse and replica."""

    role: str = "process"
    servers_at: str = ""
    also: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "HOLDTIME_LOG": f"kafka://{self.servers_at}", **self.also}

    def begin(self) -> None:
        """Start the process, and do not wait for it."""
        with (self.folder / "server.log").open("ab") as words:
            self.servers.append(
                subprocess.Popen(
                    [sys.executable, "-m", "holdtime", self.role],
                    cwd=self.folder,
                    env=self.environment,
                    stdout=words,
                    stderr=words,
                )
            )

    def start(self) -> None:
        """Start the process and wait until it is ready."""
        self.begin()
        until(lambda: self.readiness() == "ready", lambda: f"{self.readiness()}: {self.words}")

    def readiness(self) -> str:
        """What /readyz says; nothing while nobody answers."""
        assert self.server.poll() is None, self.words
        try:
            return self.get("/readyz").decode().strip()
        except urllib.error.HTTPError as error:
            return error.read().decode().strip()
        except OSError:
            return ""

    def status(self) -> dict[str, object]:
        """What /status says."""
        return dict(json.loads(self.get("/status")))

    def kill(self) -> None:
        """`kill -9`."""
        self.stop(signal.SIGKILL)


@dataclass
class Nodes:
    """A folder, a cluster, and a prefix of topics that nobody else has."""

    folder: Path
    servers: str
    configuration: str = ""
    prefix: str = field(default_factory=lambda: f"{uuid4().hex}.")
    nodes: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "holdtime.toml").write_text(
            f'[kafka]\ntopic_prefix = "{self.prefix}"\npartitions = 4\n{self.configuration}'
        )

    def node(self, role: str, **also: str) -> Node:
        """A node that has not started yet; `also` is what more its environment has."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            made = Node(self.folder, int(probe.getsockname()[1]), role=role, servers_at=self.servers, also=also)
        self.nodes.append(made)
        return made

    @classmethod
    @contextmanager
    def around(cls, folder: Path, servers: str, configuration: str = "") -> Iterator["Nodes"]:
        """Nodes that are all gone at the end."""
        nodes = cls(folder, servers, configuration)
        try:
            yield nodes
        finally:
            for process in (process for node in nodes.nodes for process in node.servers):
                if process.poll() is None:
                    process.kill()
                process.wait(PATIENCE_S)
