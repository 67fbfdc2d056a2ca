"""A full disk and damaged files under a running `holdtime up`: it takes deliveries, and resumes by itself."""

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from simulator import (
    SimulatedDelivery,
    World,
    deliver,
)
from tests.support.center import Center
from tests.support.waiting import until, until_async
from tests.support.worlds import a_quiet_world, truth_of
from warehouse import wal
from warehouse.blocks import mismatches

Halves = tuple[World, tuple[list[SimulatedDelivery], list[SimulatedDelivery]]]


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 4]))


@pytest.fixture
def halves() -> Halves:
    world = a_quiet_world(seed=11, duration=timedelta(minutes=12))
    deliveries = deliver(world.events)
    middle = len(deliveries) // 2
    return world, (deliveries[:middle], deliveries[middle:])


@pytest.fixture
def dashboards() -> Iterator[list[subprocess.Popen[bytes]]]:
    opened: list[subprocess.Popen[bytes]] = []
    yield opened
    for each in opened:
        each.kill()
        each.communicate()


def test_a_full_disk_ends_neither_ingest_nor_the_process(center: Center, halves: Halves) -> None:
    world, (first, second) = halves
    center.start()
    asyncio.run(center.post(first))
    until(lambda: center.status()["lag_events"] == 0, center.status)
    soft, hard = resource.prlimit(center.server.pid, resource.RLIMIT_FSIZE)
    # No file can grow beyond this; the log's are smaller, the warehouse is not.
    resource.prlimit(center.server.pid, resource.RLIMIT_FSIZE, (1 << 20, hard))
    posted = asyncio.run(center.post(second))
    assert posted.statuses == {200: posted.accepted}

    def suffers() -> bool:
        now = center.status()
        return bool(now["landing_away"] or now["replica_failing"])

    until(suffers, center.status)
    assert "File too large" in json.dumps(center.status())
    assert center.get("/readyz") == b"ready\n"
    resource.prlimit(center.server.pid, resource.RLIMIT_FSIZE, (soft, hard))
    center.until_found(truth_of(world))
    until(lambda: not suffers(), center.status)
    assert center.server.poll() is None
    assert len(center.servers) == 1


def test_damage_that_is_met_while_running_never_becomes_the_backup(
    center: Center,
    halves: Halves,
) -> None:
    world, (first, second) = halves
    center.start()
    asyncio.run(center.post(first))
    until(lambda: center.status()["lag_events"] == 0, center.status)
    flip(center.folder / "warehouse.duckdb", 20)
    asyncio.run(center.post(second))
    center.until_found(truth_of(world))
    until(lambda: "warehouse_recovered" in center.words_of_all, lambda: center.words)
    assert center.server.poll() is None
    descriptor = os.open(center.folder / "replica.duckdb", os.O_RDONLY)
    assert mismatches(descriptor) == []
    os.close(descriptor)
    assert list(center.folder.glob("warehouse.duckdb.damaged-*"))


def test_a_server_that_was_killed_starts_on_a_damaged_write_ahead_log(
    center: Center,
    halves: Halves,
) -> None:
    world, (first, second) = halves
    log = wal.beside(center.folder / "warehouse.duckdb")

    async def killed_over_a_log() -> None:
        posting = asyncio.create_task(center.post(first))
        await until_async(lambda: log.exists() and log.stat().st_size > 20_000, lambda: center.words)
        assert center.stop(signal.SIGKILL) == -signal.SIGKILL
        flip(log, log.stat().st_size // 2)
        await asyncio.to_thread(center.start)
        assert (await posting).given_up == []

    center.start()
    asyncio.run(killed_over_a_log())
    asyncio.run(center.post(second))
    center.until_found(truth_of(world))
    assert list(center.folder.glob("warehouse.duckdb.wal.damaged-*"))
    assert "write-ahead log was damaged" in center.words_of_all


def test_a_dashboard_that_holds_the_warehouse_keeps_no_delivery_away(
    center: Center,
    halves: Halves,
    dashboards: list[subprocess.Popen[bytes]],
) -> None:
    world, (first, second) = halves
    center.start()
    asyncio.run(center.post(first))
    assert center.stop(signal.SIGTERM) == 0
    hold = (
        "import duckdb, sys; db = duckdb.connect(sys.argv[1], read_only=True); print(1, flush=True); sys.stdin.read()"
    )
    dashboard = subprocess.Popen(
        [sys.executable, "-c", hold, str(center.folder / "warehouse.duckdb")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    dashboards.append(dashboard)
    assert dashboard.stdout is not None
    assert dashboard.stdout.readline() == b"1\n"
    center.start()
    assert asyncio.run(center.post(second)).given_up == []
    away = center.status()["landing_away"]
    assert isinstance(away, dict)
    assert away["why"] == "held"
    assert f"process {dashboard.pid} (python" in away["reason"]
    assert b'holdtime_landing_away{why="held"} 1.0' in center.get("/metrics")
    examined = subprocess.run(
        [sys.executable, "-m", "holdtime", "doctor"],
        cwd=center.folder,
        env={**center.environment, "COLUMNS": "500"},
        capture_output=True,
        check=False,
        text=True,
    )
    assert examined.returncode == 1
    assert f"process {dashboard.pid} (python" in examined.stdout
    dashboard.kill()
    center.until_found(truth_of(world))
    with closing(duckdb.connect(center.folder / "replica.duckdb", read_only=True)) as db:
        ((rows, events),) = db.execute("select count(*), count(distinct event_id) from events").fetchall()
    assert rows == events == len(world.events)
