"""`holdtime up` as a child process: started, asked, and stopped."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

TIMEOUT_S = 30.0
"""How long to wait for the server to be ready, for it to land what it has, and for it to stop."""


_NOT_FOR_IT = frozenset(("HOLDTIME_CONFIG", "HOLDTIME_ADMIN_HOST", "HOLDTIME_ADMIN_PORT"))
"""Variables of this process that would give the server another address than the one asked here."""


class ServerError(Exception):
    """The server did not get ready, land or stop in time. The text says which, and where its output is."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server of its own for one folder, which holds its log, warehouse, replica and `server.log`."""

    folder: Path
    address: str
    process: subprocess.Popen[bytes]

    @classmethod
    @contextmanager
    def started(cls, folder: Path, *, public_key: str) -> Iterator[Self]:
        """A ready server, stopped at the end as an operator stops it. Raises ServerError."""
        port = _free_port()
        environment = {
            **{name: value for name, value in os.environ.items() if name not in _NOT_FOR_IT},
            "TELNYX_PUBLIC_KEY": public_key,
            "HOLDTIME_LOG": f"sqlite:{folder / 'log.sqlite'}",
            "HOLDTIME_WAREHOUSE": str(folder / "warehouse.duckdb"),
            "HOLDTIME_REPLICA": str(folder / "replica.duckdb"),
            "HOLDTIME_HTTP_HOST": "127.0.0.1",
            "HOLDTIME_HTTP_PORT": str(port),
        }
        with (folder / "server.log").open("ab") as words:
            process = subprocess.Popen(
                [sys.executable, "-m", "holdtime", "up"], env=environment, cwd=folder, stdout=words, stderr=words
            )
        server = cls(folder, f"http://127.0.0.1:{port}", process)
        try:
            server._until("ready", server._is_ready)
            yield server
            server.stop()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    @property
    def webhook_url(self) -> str:
        """Where deliveries go."""
        return f"{self.address}/webhooks/telnyx"

    def status(self) -> dict[str, Any]:
        """What `/status` says."""
        return dict(json.loads(self._get("/status")))

    def wait_until_landed(self, progress: Callable[[int], None] = lambda _: None) -> None:
        """Wait until everything in the log is in the warehouse. Raises ServerError."""

        def landed() -> bool:
            status = self.status()
            progress(status["landed"])
            return int(status["lag_events"]) == 0

        self._until("done with landing", landed)

    def stop(self) -> None:
        """Stop the server cleanly. Raises ServerError unless it exits with 0."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise self._failed("it did not stop") from None
        if code != 0:
            raise self._failed(f"it stopped with exit code {code}")

    def _is_ready(self) -> bool:
        try:
            return self._get("/readyz").startswith(b"ready")
        except (OSError, http.client.HTTPException):
            return False

    def _get(self, path: str) -> bytes:
        # It is on this machine: no proxy has anything to do with it.
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(self.address + path, timeout=TIMEOUT_S) as answer:
            return bytes(answer.read())

    def _until(self, what: str, happened: Callable[[], bool]) -> None:
        give_up = time.monotonic() + TIMEOUT_S
        while not happened():
            if self.process.poll() is not None:
                raise self._failed(f"it ended with exit code {self.process.returncode}")
            if time.monotonic() > give_up:
                raise self._failed(f"not {what} after {TIMEOUT_S:.0f} s")
            time.sleep(0.05)

    def _failed(self, text: str) -> ServerError:
        return ServerError(f"the server: {text}; see {self.folder / 'server.log'}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
