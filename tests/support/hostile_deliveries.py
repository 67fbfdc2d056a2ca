"""Hostile bodies, signed and posted to a server of their own."""

import asyncio
from contextlib import closing
from pathlib import Path

import duckdb

from holdtime.commands.server import Server, ServerError
from holdtime.commands.simulate import Simulation
from simulator import (
    Retries,
    SimulatedDelivery,
    post,
)
from tests.support.hostile import drawn

TAKEN, TOO_LARGE = 200, 413
ONCE = Retries(limit=0)


def faults_over_http(folder: Path, *, seed: int, bodies: int) -> list[str]:
    """Post the hostile bodies of a seed; say in words what went otherwise than it must. Once a folder."""
    deliveries = [SimulatedDelivery(0, each.name, 1, False, each.body) for each in drawn(seed, range(bodies))]
    simulation = Simulation.prepare(folder / "key")
    try:
        with Server.started(folder, public_key=simulation.public_key) as server:
            posted = asyncio.run(post(deliveries, url=server.webhook_url, key=simulation.key, retries=ONCE))
            server.wait_until_landed()
            landed = server.status()["landed"]
    except ServerError as error:
        return [f"{error}: {(folder / 'server.log').read_text()[-1500:]}"]
    faults = []
    if not posted.statuses.keys() <= {TAKEN, TOO_LARGE}:
        faults.append(f"expected 200, or 413 for what is too large; found {dict(posted.statuses)}")
    with closing(duckdb.connect(folder / "replica.duckdb", read_only=True)) as db:
        rows = db.execute(
            """
            select count(*) from (
                select log_offset from events where body is not null union all select log_offset from rejected
            )
            """
        ).fetchall()
    if landed != posted.statuses[TAKEN] or not 0 < rows[0][0] <= landed:
        faults.append(f"{posted.statuses[TAKEN]} were taken, {landed} landed, {rows[0][0]} are kept")
    return faults
