"""History beside a server that runs: what waits for it to stop, and what does not."""

import asyncio
import base64
import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from simulator import deliver
from tests.support.center import KEY, Center
from tests.support.waiting import PATIENCE_S, until
from tests.support.worlds import a_quiet_world, truth_of


@pytest.fixture
def center(tmp_path: Path) -> Iterator[Center]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made = Center(tmp_path, port)
    yield made
    for server in made.servers:
        if server.poll() is None:
            server.kill()
        server.wait()


def run(center: Center, *arguments: str) -> tuple[int, str]:
    """A command on the center's files, to its end; its exit code and words."""
    ended = subprocess.run(
        [sys.executable, "-m", "holdtime", *arguments],
        cwd=center.folder,
        env={**center.environment, "COLUMNS": "300"},
        capture_output=True,
        check=False,
        text=True,
        timeout=PATIENCE_S,
    )
    assert "Traceback" not in ended.stderr, ended.stderr[-2000:]
    return ended.returncode, " ".join((ended.stdout + ended.stderr).split())


def deliver_late(center: Center, body: bytes, *, by: timedelta) -> int:
    """Post a body that was signed that long ago; the status of the answer."""
    signed_at = int(time.time() - by.total_seconds())
    signature = base64.b64encode(KEY.sign(f"{signed_at}|".encode() + body).signature).decode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{center.port}/webhooks/telnyx",
        data=body,
        headers={"Telnyx-Timestamp": str(signed_at), "Telnyx-Signature-Ed25519": signature},
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_history_is_mended_between_two_runs_of_a_server_and_looked_into_beside_it(center: Center) -> None:
    world = a_quiet_world(seed=5, duration=timedelta(minutes=20))
    events = [event.body for event in world.events]
    third = len(events) // 3
    heard, stale, missed = events[:third], events[third : third + 10], events[third + 10 :]
    archive = center.folder / "archive.ndjson"
    archive.write_bytes(b"\n".join([*heard[-5:], *missed, b"not json"]))

    center.start()
    asyncio.run(center.post([delivery for delivery in deliver(world.events) if delivery.body in heard]))
    assert {deliver_late(center, body, by=timedelta(seconds=400)) for body in stale} == {401}
    until(
        lambda: json.loads(run(center, "rejected", "list", "--json")[1])["reasons"] != [],
        lambda: run(center, "rejected", "list"),
    )
    for command in (("replay", str(archive)), ("rejected", "replay")):
        code, words = run(center, *command)
        assert code == 2, words
        assert "already has a writer" in words or "is locked" in words
    code, words = run(center, "doctor")
    assert code == 0, words
    assert "answers at http://127.0.0.1" in words
    assert "10 stale" in words
    assert center.stop(signal.SIGTERM) == 0, center.words

    code, words = run(center, "rejected", "replay", "--reason", "stale")
    assert (code, "10 are events now" in words) == (0, True), words
    for new, known, rejected in ((len(missed), 5, 1), (0, len(missed) + 6, 0)):
        code, words = run(center, "replay", str(archive))
        assert code == 0, words
        assert f"{new:,} new events, {known:,} known already, {rejected} rejected" in words
    center.start()
    center.until_found(truth_of(world))
    with contextlib.closing(duckdb.connect(center.folder / "replica.duckdb", read_only=True)) as db:
        found = db.execute("select origin, verified, count(*) from events group by all order by all").fetchall()
    assert found == [("replay", False, len(missed)), ("webhook", True, len(heard) + 10)]
