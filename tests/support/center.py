"""`holdtime up` as a process on a folder and a port, to post deliveries to, to kill and to start again."""

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from nacl.signing import SigningKey

from simulator import (
    TABLES,
    Faults,
    Posted,
    Retries,
    SimulatedDelivery,
    post,
)
from tests.support.waiting import PATIENCE_S, until
from tests.support.worlds import Rows, found

KEY = SigningKey(bytes(range(32)))
ROUGH = Faults(delay_s=3, late=0.05, late_s=600, duplicates=0.1, forged=0.03)
UNTIL_TAKEN = Retries(limit=200, first_s=0.1, most_s=0.3, total_s=PATIENCE_S)


@dataclass
class Center:
    """A folder, a port and the server that is there just now."""

    folder: Path
    port: int
    servers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def server(self) -> subprocess.Popen[bytes]:
        return self.servers[-1]

    @property
    def words(self) -> str:
        """The last of what the server said."""
        return (self.folder / "server.log").read_text()[-3000:]

    @property
    def words_of_all(self) -> str:
        """All that the servers of this folder said."""
        return (self.folder / "server.log").read_text()

    @property
    def environment(self) -> dict[str, str]:
        """What a command on the folder is told."""
        return {
            "PATH": os.environ["PATH"],
            "TELNYX_PUBLIC_KEY": base64.b64encode(bytes(KEY.verify_key)).decode(),
            "HOLDTIME_LOG": f"sqlite:{self.folder / 'log.sqlite'}",
            "HOLDTIME_WAREHOUSE": str(self.folder / "warehouse.duckdb"),
            "HOLDTIME_REPLICA": str(self.folder / "replica.duckdb"),
            "HOLDTIME_HTTP_PORT": str(self.port),
        }

    def start(self) -> None:
        """A new server on the folder, ready for deliveries."""
        with (self.folder / "server.log").open("ab") as words:
            self.servers.append(
                subprocess.Popen(
                    [sys.executable, "-m", "holdtime", "up"],
                    cwd=self.folder,
                    env=self.environment,
                    stdout=words,
                    stderr=words,
                )
            )

        def ready() -> bool:
            assert self.server.poll() is None, self.words
            try:
                return self.get("/readyz") == b"ready\n"
            except OSError:
                return False

        until(ready, lambda: f"not ready: {self.words}")

    def get(self, path: str) -> bytes:
        """What the server answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE_S) as answer:
            return bytes(answer.read())

    def status(self) -> dict[str, Any]:
        """What the server says of itself."""
        return dict(json.loads(self.get("/status")))

    def stop(self, kind: signal.Signals) -> int:
        """End the server with a signal; returns its exit code."""
        self.server.send_signal(kind)
        return self.server.wait(PATIENCE_S)

    async def post(
        self, deliveries: list[SimulatedDelivery], *, progress: Callable[[Posted], None] | None = None
    ) -> Posted:
        """Post all of it, as Telnyx does but for patience."""
        url = f"http://127.0.0.1:{self.port}/webhooks/telnyx"
        return await post(deliveries, url=url, key=KEY, retries=UNTIL_TAKEN, progress=progress)

    def found(self) -> Rows:
        """What a reader finds in the replica, in the columns that the truth has."""
        with contextlib.closing(duckdb.connect(self.folder / "replica.duckdb", read_only=True)) as db:
            db.execute("set timezone = 'UTC'")
            return {table: found(db, table) for table in TABLES}

    def until_found(self, wanted: Rows) -> None:
        """Wait until a reader finds what happened, and nothing else."""

        def differences() -> object:
            there = self.found()
            return {
                table: {
                    "missing": [row for row in wanted[table] if row not in there[table]][:2],
                    "too many": [row for row in there[table] if row not in wanted[table]][:2],
                }
                for table in wanted
                if there[table] != wanted[table]
            }

        until(lambda: self.found() == wanted, differences)


@contextlib.contextmanager
def a_center(folder: Path) -> Iterator[Center]:
    """A center on a free port, whose servers are all gone at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made = Center(folder, port)
    try:
        yield made
    finally:
        for server in made.servers:
            if server.poll() is None:
                server.kill()
            server.wait()
