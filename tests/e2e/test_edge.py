"""The edge of a whole process: few descriptors, none left, and an address of its own for what is no delivery."""

import base64
import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.deliveries import (
    EVENT,
    KEY,
    signed,
)
from tests.support.waiting import until

PATIENCE_S = 30.0
DESCRIPTORS = 100


@dataclass
class Process:
    """`holdtime up` in a folder of its own."""

    folder: Path
    port: int
    admin_port: int | None
    running: subprocess.Popen[bytes]

    @property
    def words(self) -> str:
        return (self.folder / "server.log").read_text()[-2000:]

    def get(self, path: str, port: int | None = None) -> tuple[int, str]:
        answer = exchange(port or self.port, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()

    def deliver(self) -> int:
        """Post a signed delivery over a new connection; returns its status, 0 when the connection was closed."""
        fields = [
            *signed(EVENT, at=int(time.time())),
            (b"content-length", b"%d" % len(EVENT)),
            (b"connection", b"close"),
        ]
        lines = [b"POST /webhooks/telnyx HTTP/1.1", b"Host: x", *(name + b": " + value for name, value in fields)]
        with contextlib.suppress(ConnectionError):
            answer = exchange(self.port, b"\r\n".join(lines) + b"\r\n\r\n" + EVENT)
            return int(answer.split()[1]) if answer else 0
        return 0

    def shed(self) -> dict[str, float]:
        """How many connections it has ended, by why."""
        families = text_string_to_metric_families(self.get("/metrics")[1])
        samples = [sample for family in families for sample in family.samples]
        return {s.labels["why"]: s.value for s in samples if s.name == "holdtime_http_connections_shed_total"}


def exchange(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        connection.sendall(request)
        came = b""
        while more := connection.recv(65_536):
            came += more
        return came


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def up(folder: Path, *, admin_port: int | None = None, descriptors: int | None = None) -> Iterator[Process]:
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "TELNYX_PUBLIC_KEY": base64.b64encode(bytes(KEY.verify_key)).decode(),
        "HOLDTIME_HTTP_PORT": str(port),
        **({"HOLDTIME_ADMIN_PORT": str(admin_port)} if admin_port else {}),
    }
    limit = f"ulimit -n {descriptors}; " if descriptors else ""
    with (folder / "server.log").open("ab") as words:
        command = ["sh", "-c", limit + 'exec "$0" -m holdtime up', sys.executable]
        running = subprocess.Popen(command, cwd=folder, env=environment, stdout=words, stderr=words)
    process = Process(folder, port, admin_port, running)

    def ready() -> bool:
        assert running.poll() is None, process.words
        with contextlib.suppress(OSError):
            return process.get("/readyz")[0] == 200
        return False

    try:
        until(ready, lambda: f"not ready: {process.words}")
        yield process
        running.send_signal(signal.SIGTERM)
        assert running.wait(PATIENCE_S) == 0, process.words
    finally:
        if running.poll() is None:
            running.kill()
            running.wait()


def test_with_few_descriptors_silent_connections_are_shed_and_deliveries_get_in(tmp_path: Path) -> None:
    with up(tmp_path, descriptors=DESCRIPTORS) as process, contextlib.ExitStack() as stack:
        for _ in range(3 * DESCRIPTORS):
            stack.enter_context(socket.create_connection(("127.0.0.1", process.port), timeout=PATIENCE_S))
        assert [process.deliver() for _ in range(20)] == [200] * 20, process.words
        assert process.shed()["full"] > DESCRIPTORS
        assert len(os.listdir(f"/proc/{process.running.pid}/fd")) < DESCRIPTORS


def test_without_any_descriptor_left_it_goes_on_when_there_are_some_again(tmp_path: Path) -> None:
    with up(tmp_path, descriptors=DESCRIPTORS) as process, contextlib.ExitStack() as stack:
        pid = process.running.pid
        assert process.deliver() == 200
        highest = max(map(int, os.listdir(f"/proc/{pid}/fd")))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1, DESCRIPTORS))
        for _ in range(20):  # which take what is left below
            stack.enter_context(socket.create_connection(("127.0.0.1", process.port), timeout=PATIENCE_S))
        found = [process.deliver() for _ in range(10)]
        assert 0 in found, "closed at once: Telnyx comes again"
        assert set(found) <= {0, 200, 503}
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
        assert [process.deliver() for _ in range(10)] == [200] * 10, process.words


def test_what_is_no_delivery_can_have_an_address_of_its_own(tmp_path: Path) -> None:
    with up(tmp_path, admin_port=free_port()) as process:
        assert process.deliver() == 200
        pages = ("/status", "/metrics", "/asyncapi")
        assert [process.get(path)[0] for path in pages] == [404] * 3
        assert [process.get(path, process.admin_port)[0] for path in pages] == [200] * 3
        assert process.get("/readyz", process.admin_port)[0] == process.get("/livez")[0] == 200
        assert process.get("/webhooks/telnyx", process.admin_port)[0] == 404


@pytest.mark.parametrize("connections", [40, 100_000_000])
def test_more_connections_than_descriptors_are_a_fault_in_the_configuration(tmp_path: Path, connections: int) -> None:
    (tmp_path / "holdtime.toml").write_text(f"[http]\nconnections = {connections}\n")
    environment = {"PATH": os.environ["PATH"], "TELNYX_PUBLIC_KEY": "", "HOLDTIME_HTTP_PORT": "0"}
    command = ["sh", "-c", 'ulimit -n 64; exec "$0" -m holdtime up', sys.executable]
    done = subprocess.run(
        command, check=False, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 2
    assert "http" in done.stderr
    assert "connections" in done.stderr
    assert "Traceback" not in done.stderr
