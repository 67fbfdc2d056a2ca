"""`holdtime up` with a key for Telnyx's API: what no webhook told is asked for, over HTTP, and lands."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from holdtime.commands.server import Server
from holdtime.commands.simulate import Simulation
from simulator import TABLES
from simulator.api import Account
from tests.laws.test_truth import a_recent_world, found, rows
from tests.support.served import (
    KEY,
    now_us,
    telnyx,
)

PATIENCE_S = 90


def shown(replica: Path) -> dict[str, list[Any]]:
    """What the replica shows, in the columns of the truth."""
    try:
        with duckdb.connect(replica, read_only=True) as db:
            db.execute("set timezone = 'UTC'")
            warehouse: Any = type("Shown", (), {"db": db})
            return {table: found(warehouse, table) for table in TABLES}
    except duckdb.IOException:
        return {}


def test_an_up_that_heard_nothing_asks_for_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=4)
    world = a_recent_world(begin, timedelta(minutes=5))
    truth = {table: rows(world.truth, table) for table in TABLES}
    account = Account.of(world, now=now_us, lost={event.event_id for event in world.events})
    with telnyx(account) as url:
        monkeypatch.setenv("TELNYX_API_KEY", KEY)
        monkeypatch.setenv("TELNYX_BASE_URL", url)
        key = Simulation.prepare(tmp_path / "key").public_key
        with Server.started(tmp_path, public_key=key) as server:
            give_up = time.monotonic() + PATIENCE_S
            while (there := shown(tmp_path / "replica.duckdb")) != truth and time.monotonic() < give_up:
                time.sleep(0.5)
            words = (tmp_path / "server.log").read_text()
            assert there == truth, words[-2000:]
            while (standing := server.status()["reconciler"])["succeeded_at"] is None and time.monotonic() < give_up:
                time.sleep(0.1)
            assert standing["succeeded_at"], standing
    assert KEY not in words
    assert "+1202555" not in words
