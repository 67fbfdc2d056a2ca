"""A center that is reconciled: its warehouse as a file with a replica, a log in memory, and the stand-in for Telnyx."""

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from eventlog.batch import Batch
from eventlog.log import Record
from processors.landing.landing import Landing
from reconciler.api import Api
from reconciler.pace import Pace
from reconciler.reconciler import Reconciler, SourceOutcome
from reconciler.seen_events import ReplicaEvents as KnownWarehouse
from reconciler.status import ReconcilerStatus
from simulator import World
from simulator.api import Account, Manners
from simulator.telnyx import Event
from tests.support.builders import (
    Warehouse,
    a_batch,
    microseconds,
)
from tests.support.served import frozen, sdk
from warehouse.database import open_writer
from warehouse.replica import publish

PLENTY = 10**9
"""Of requests a minute."""

ORIGINAL_SOURCES = frozenset({"webhook_deliveries", "call_events"})


@dataclass
class Center:
    """Lands what it is told, at once or when it is reconciled. `at` is what its clock says, and Telnyx's."""

    folder: Path
    at: datetime
    db: duckdb.DuckDBPyConnection = field(init=False)
    warehouse: Warehouse = field(init=False)
    appended: list[Record] = field(default_factory=list)
    api: Api = field(init=False)
    status: ReconcilerStatus = field(init=False)
    _waiting: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.db = open_writer(self.folder / "warehouse.duckdb")
        self.warehouse = Warehouse(self.db, Landing(self.db))
        self.publish()

    async def append(self, record: Record) -> None:
        """As the log does."""
        self.appended.append(record)
        self._waiting.append(record)

    async def settle(self) -> None:
        """Land what waits, and show it."""
        while self._waiting:
            part, self._waiting = self._waiting[:50_000], self._waiting[50_000:]
            self.warehouse.landing.land(self._batch(part), self.at)
        self.publish()

    def hear(self, events: Iterable[Event], lost: Collection[str] = frozenset()) -> None:
        """Webhooks come, but for those that are lost."""
        bodies = [event.body for event in events if event.event_id not in lost]
        for start in range(0, len(bodies), 50_000):
            self.warehouse.land_bodies(bodies[start : start + 50_000], now=self.at, received=self.at)
        self.publish()

    def reconcile(
        self,
        account: Account,
        manners: Manners | None = None,
        *,
        since: timedelta | None = None,
        pace: Pace | None = None,
    ) -> list[SourceOutcome]:
        """One run, by the clock of the center; `appended` holds afterwards what it published."""
        self.appended = []

        async def run() -> list[SourceOutcome]:
            known = KnownWarehouse(self.folder / "replica.duckdb")
            try:
                async with sdk(account, manners) as client:
                    api = Api(client, pace or Pace(PLENTY))
                    ours = Reconciler(api, self, known, settle=self.settle, clock=lambda: self.at)
                    self.api, self.status = api, ours.status
                    return await ours.run(since)
            finally:
                known.close()

        return asyncio.run(run())

    def account(self, world: World, lost: Collection[str] = frozenset()) -> Account:
        """What Telnyx holds of the world by now."""
        return Account.of(world, now=frozen(self.at), lost=lost)

    def close(self) -> None:
        """Let go of the files."""
        self.db.close()

    def publish(self) -> None:
        """Show what has landed."""
        publish(self.db, self.folder / "warehouse.duckdb", self.folder / "replica.duckdb")

    def _batch(self, records: list[Record]) -> Batch:
        first = next(self.warehouse.offsets)
        for _ in records[1:]:
            next(self.warehouse.offsets)
        received = [self.at] * len(records)
        assert all(record.received_us == microseconds(self.at) for record in records)
        return a_batch(
            [record.body for record in records],
            first_offset=first,
            received=received,
            origin=[str(record.origin) for record in records],
        )
