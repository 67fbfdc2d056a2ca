"""`holdtime up` with a key for Telnyx's API: what no webhook told is asked for, over HTTP, and lands."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from holdtime.commands.server import Server
from holdtime.commands.simulate import Simulation
from simulator import TABLES
from simulator.api import Account
from tests.support.served import (
    KEY,
    now_us,
    telnyx,
)
from tests.support.waiting import until
from tests.support.worlds import a_recent_world, found, truth_of

PATIENCE_S = 90


def shown(replica: Path) -> dict[str, list[Any]]:
    """What the replica shows, in the columns of the truth."""
    try:
        with duckdb.connect(replica, read_only=True) as db:
            db.execute("set timezone = 'UTC'")
            return {table: found(db, table) for table in TABLES}
    except duckdb.IOException:
        return {}


def test_an_up_that_heard_nothing_asks_for_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=4)
    world = a_recent_world(begin, timedelta(minutes=5))
    truth, log = truth_of(world), tmp_path / "server.log"
    account = Account.of(world, now=now_us, lost={event.event_id for event in world.events})
    with telnyx(account) as url:
        monkeypatch.setenv("TELNYX_API_KEY", KEY)
        monkeypatch.setenv("TELNYX_BASE_URL", url)
        key = Simulation.prepare(tmp_path / "key").public_key
        with Server.started(tmp_path, public_key=key) as server:
            until(lambda: shown(tmp_path / "replica.duckdb") == truth, log.read_text, patience_s=PATIENCE_S)
            until(lambda: server.status()["reconciler"]["succeeded_at"], server.status)
        words = log.read_text()
    assert KEY not in words
    assert "+1202555" not in words
