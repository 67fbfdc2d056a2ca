"""Whatever a page says, nothing crashes, everything that is published lands, and no loop goes on for ever."""

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import httpx
from telnyx import AsyncTelnyx

from holdtime.reconciler.api import Api
from holdtime.reconciler.known import Warehouse as KnownWarehouse
from holdtime.reconciler.pace import Pace
from holdtime.reconciler.reconciler import Reconciler
from holdtime.simulator.api import application
from tests.laws.test_truth import a_world
from tests.mangled import Mangling
from tests.reconciling import PLENTY, Center
from tests.served import KEY

AFTERWARDS = datetime(2026, 3, 2, 14, 5, tzinfo=UTC)
"""While much goes on: somebody waits, conferences are held."""
PAGES = 120
"""The campaign has 2,000."""


def reconciled(folder: Path, *, seed: int, pages: int) -> tuple[Center, Counter[str]]:
    """Reconcile with a Telnyx that answers nonsense, again and again until there were so many pages."""
    center, faults = Center(folder, AFTERWARDS), Counter[str]()
    world = a_world(3)
    center.hear(world.events[::3])

    async def run() -> None:
        rng = random.Random(seed)
        inner = httpx.ASGITransport(application(center.account(world), key=KEY))
        mangling = Mangling(inner, rng)
        client = AsyncTelnyx(
            api_key=KEY,
            base_url="http://telnyx.invalid/v2",
            max_retries=0,
            http_client=httpx.AsyncClient(transport=mangling),
        )
        known = KnownWarehouse(folder / "replica.duckdb")
        pace = Pace(PLENTY, sleep=_never_mind, clock=Clock())
        async with client:
            while mangling.pages < pages:
                ours = Reconciler(Api(client, pace), center, known, settle=center.settle, clock=lambda: center.at)
                outcomes = await ours.run()
                faults.update((each.fault or "none").split(":")[0] for each in outcomes)
        known.close()

    asyncio.run(run())
    return center, faults


class Clock:
    """Goes on by an hour whenever it is looked at: nobody has to wait."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 3600
        return self.now


async def _never_mind(_: float) -> None:
    pass


def test_pages_that_no_document_describes_crash_nothing(tmp_path: Path) -> None:
    center, faults = reconciled(tmp_path, seed=1, pages=PAGES)
    rejected = center.warehouse.dicts("rejected")
    assert [row["reason"] for row in rejected] == []
    assert faults["none"] > 0
    facts = center.warehouse.facts()
    center.warehouse.rebuild()
    assert center.warehouse.facts() == facts
    center.close()
