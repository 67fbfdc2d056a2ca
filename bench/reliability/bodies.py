"""Hostile bodies among good ones: each is kept once, as what it is or as rejected, and no good event is affected.

One trial is one hostile body; every share lands its own among the events of twenty minutes of a simulated center, and
posts some of them, signed, to a server of its own. See `tests/support/hostile.py` and `tests/support/reading.py`.
"""

import tempfile
from datetime import timedelta
from pathlib import Path

from bench.reliability.campaign import Campaign, Tally
from simulator import Plan, simulate
from tests.support.builders import NOON
from tests.support.hostile import drawn
from tests.support.hostile_deliveries import faults_over_http
from tests.support.reading import landed_among

POSTED = 200
"""Of each share's bodies, how many are posted as well."""


def run(seed: int, bodies: int) -> Tally:
    """Try `bodies` hostile bodies."""
    world = simulate(Plan.medium(), seed=seed, start=NOON, duration=timedelta(minutes=20))
    good = [event.body for event in world.events]
    with tempfile.TemporaryDirectory() as folder:
        mixed = landed_among(list(drawn(seed, range(bodies))), good, Path(folder), seed=seed, batch=bodies // 3 + 1)
        refused = faults_over_http(Path(folder), seed=seed, bodies=min(bodies, POSTED))
    tally = Tally(trials=mixed.bodies, failures=[*mixed.faults, *refused])
    tally.counts.update(
        bodies_at_fault=len(mixed.faults),
        bodies_server_faults=len(refused),
        bodies_landed=mixed.events - mixed.good,
        bodies_rejected=mixed.rejected,
        bodies_good_among_them=mixed.good,
    )
    return tally


CAMPAIGN = Campaign("bad_bodies", run, 10_000, 500, 500, 240, ("bodies_at_fault", "bodies_server_faults"))
