"""From signed deliveries over HTTP to what a reader finds in the replica, as separate processes."""

import asyncio
import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from nacl.signing import SigningKey
from prometheus_client.parser import text_string_to_metric_families

from simulator import (
    TABLES,
    Faults,
    Plan,
    Posted,
    Retries,
    SimulatedDelivery,
    World,
    deliver,
    post,
    simulate,
)

KEY = SigningKey(bytes(range(32)))
PATIENCE_S = 60.0
QUIET_HOUR = datetime(2026, 2, 3, 12, tzinfo=UTC)
"""Seven in the morning in New York: some sixty calls."""

ROUGH = Faults(delay_s=3, late=0.05, late_s=600, duplicates=0.1, forged=0.03)
UNTIL_TAKEN = Retries(limit=200, first_s=0.1, most_s=0.3, total_s=PATIENCE_S)
Rows = dict[str, list[tuple[Any, ...]]]


def a_world(*, seed: int, duration: timedelta = timedelta(hours=1)) -> World:
    plan = Plan.medium()
    quirky = replace(plan, habits=replace(plan.habits, api_v1=0.1, conference=0.5, rejoin=0.3))
    return simulate(quirky, seed=seed, start=QUIET_HOUR, duration=duration)


def truth_of(world: World) -> Rows:
    """What happened, as rows of the warehouse's tables."""
    return {table: in_order(getattr(world.truth, table)) for table in TABLES}


def in_order(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted((tuple(row) for row in rows), key=repr)


def until(happened: Callable[[], bool], seen: Callable[[], object]) -> None:
    """Wait until it happened, at most PATIENCE_S; what was `seen` last is in the failure."""
    give_up = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < give_up, f"still {seen()} after {PATIENCE_S:.0f} s"
        time.sleep(0.05)


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
            return {
                table: in_order(db.execute(f"select {', '.join(getattr(of, '_fields'))} from {table}").fetchall())  # noqa: B009
                for table, of in TABLES.items()
            }

    def until_found(self, wanted: Rows) -> None:
        """Wait until a reader finds what happened, and nothing else."""

        def differences() -> object:
            found = self.found()
            return {
                table: {
                    "missing": [row for row in wanted[table] if row not in found[table]][:2],
                    "too many": [row for row in found[table] if row not in wanted[table]][:2],
                }
                for table in wanted
                if found[table] != wanted[table]
            }

        until(lambda: self.found() == wanted, differences)


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


def test_a_rough_hour_is_in_the_replica_as_it_happened_while_the_server_runs(center: Center) -> None:
    world = a_world(seed=1)
    deliveries = deliver(world.events, ROUGH, seed=1)
    forged = sum(delivery.forged for delivery in deliveries)
    assert min(len(rows) for rows in truth_of(world).values()) > 5
    assert forged > 5
    center.start()
    posted = asyncio.run(center.post(deliveries))
    assert (posted.given_up, posted.statuses, posted.forged) == ([], {200: posted.accepted}, {401: forged})
    center.until_found(truth_of(world))
    assert center.server.poll() is None
    with contextlib.closing(duckdb.connect(center.folder / "replica.duckdb", read_only=True)) as db:
        assert db.execute("select count(*), count(distinct event_id) from events").fetchall() == [
            (len(world.events), len(world.events))
        ]
        assert db.execute("select count(*) from rejected").fetchall() == [(0,)]


def test_a_server_killed_while_it_takes_deliveries_loses_and_doubles_nothing(center: Center) -> None:
    world = a_world(seed=2)
    deliveries = deliver(world.events, ROUGH, seed=2)
    settled = 0

    def count(posted: Posted) -> None:
        nonlocal settled
        settled = posted.settled

    async def scenario() -> Posted:
        posting = asyncio.create_task(center.post(deliveries, progress=count))
        for share in (0.25, 0.6):
            while settled < share * len(deliveries):
                assert not posting.done(), "all was posted before the server could be killed"
                await asyncio.sleep(0.005)
            assert center.stop(signal.SIGKILL) == -signal.SIGKILL
            await asyncio.to_thread(center.start)
        return await posting

    center.start()
    posted = asyncio.run(scenario())
    assert posted.given_up == []
    center.until_found(truth_of(world))
    assert center.stop(signal.SIGTERM) == 0, center.words
    assert center.found() == truth_of(world)


def test_a_server_that_is_told_to_stop_lands_and_publishes_what_it_took(center: Center) -> None:
    world = a_world(seed=3, duration=timedelta(minutes=20))
    center.start()
    posted = asyncio.run(center.post(deliver(world.events, ROUGH, seed=3)))
    assert center.stop(signal.SIGTERM) == 0, center.words
    assert posted.given_up == []
    assert center.found() == truth_of(world)
    assert sorted(each.name for each in center.folder.iterdir() if "sqlite" not in each.name) == [
        "replica.duckdb",
        "server.log",
        "warehouse.duckdb",
    ]


def test_a_server_says_how_it_is(center: Center) -> None:
    world = a_world(seed=4, duration=timedelta(minutes=10))
    deliveries = deliver(world.events)
    center.start()
    assert center.get("/livez") == b"alive\n"
    assert center.get("/readyz") == b"ready\n"
    before = json.loads(center.get("/status"))
    assert (before["log_end"], before["landed"], before["lag_events"], before["last_landed_at"]) == (0, 0, 0, None)
    assert datetime.fromisoformat(before["replica_at"]).tzinfo is not None
    asyncio.run(center.post(deliveries))
    until(lambda: json.loads(center.get("/status"))["landed"] == len(deliveries), lambda: center.get("/status"))
    after = json.loads(center.get("/status"))
    assert (after["log_end"], after["lag_events"]) == (len(deliveries), 0)
    assert after["last_landed_at"] > before["replica_at"]
    counted = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(center.get("/metrics").decode())
        for sample in family.samples
    }
    assert counted["holdtime_records_landed_total", "event"] == len(deliveries)
    assert counted["holdtime_records_landed_total", "duplicate"] == 0
    with pytest.raises(urllib.error.HTTPError, match="405"):
        center.get("/webhooks/telnyx")


def test_the_demo_works_in_its_folder_and_finds_what_happened(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "demo", tmp_path / "elsewhere"
    elsewhere.mkdir()
    ended = subprocess.run(
        [sys.executable, "-m", "holdtime", "demo", "--dir", str(folder)],
        cwd=elsewhere,
        env={"PATH": os.environ["PATH"], "HOME": str(elsewhere), "COLUMNS": "200"},
        capture_output=True,
        check=False,
        text=True,
        timeout=4 * PATIENCE_S,
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    assert "as they happened" in ended.stdout
    assert "<html" in (folder / "report.html").read_text(encoding="utf-8").lower()
    assert {"report.html", "replica.duckdb", "warehouse.duckdb", "server.log"} <= {
        each.name for each in folder.iterdir()
    }
    assert list(elsewhere.iterdir()) == []
