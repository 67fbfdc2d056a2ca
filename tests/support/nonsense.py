"""A reconciliation with a Telnyx that answers nonsense."""

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import httpx
from telnyx import AsyncTelnyx

from reconciler.api import Api
from reconciler.pace import Pace
from reconciler.reconciler import Reconciler
from reconciler.seen_events import ReplicaEvents
from simulator.api import application
from tests.support.generated import Generated
from tests.support.mangled import Mangling
from tests.support.reconciling import PLENTY, Center
from tests.support.served import KEY
from tests.support.worlds import a_world

AFTERWARDS = datetime(2026, 3, 2, 14, 5, tzinfo=UTC)
"""While much goes on: somebody waits, conferences are held."""


class Clock:
    """Goes on by an hour whenever it is looked at: nobody has to wait."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 3600
        return self.now


async def _never_mind(_: float) -> None:
    pass


def mangling(center: Center, seed: int) -> Mangling:
    """The stand-in's own answers, spoiled."""
    inner = httpx.ASGITransport(application(center.account(a_world(3)), key=KEY))
    return Mangling(inner, random.Random(seed))


def generated(center: Center, seed: int) -> Generated:
    """Answers made from the documented fields, about things that the center knows."""
    known = center.warehouse
    ids = sorted(
        {
            *(row["conference_id"] for row in known.dicts("conferences")),
            *(row["call_control_id"] for row in known.dicts("queue_visits") if row["call_control_id"]),
            *(row["call_leg_id"] for row in known.dicts("calls")),
        }
    )
    queues = sorted({row["queue"] for row in known.dicts("queue_visits")})
    bodies = [event.body for event in a_world(3).events[::11]]
    return Generated(random.Random(seed), AFTERWARDS, ids, queues, bodies)


def reconciled(
    folder: Path, *, seed: int, pages: int, mangled: bool
) -> tuple[Center, Counter[str], Mangling | Generated]:
    """Reconcile with a Telnyx that answers nonsense, again and again until there were so many pages."""
    center, faults = Center(folder, AFTERWARDS), Counter[str]()
    center.hear(a_world(3).events[::3])
    nonsense = mangling(center, seed) if mangled else generated(center, seed)

    async def run() -> None:
        client = AsyncTelnyx(
            api_key=KEY,
            base_url="http://telnyx.invalid/v2",
            max_retries=0,
            http_client=httpx.AsyncClient(transport=nonsense),
        )
        known = ReplicaEvents(folder / "replica.duckdb")
        pace = Pace(PLENTY, sleep=_never_mind, clock=Clock())
        async with client:
            while nonsense.pages < pages:
                ours = Reconciler(Api(client, pace), center, known, settle=center.settle, clock=lambda: center.at)
                outcomes = await ours.run()
                faults.update((each.fault or "none").split(":")[0] for each in outcomes)
        known.close()

    asyncio.run(run())
    return center, faults, nonsense
