"""Simulated centers whose webhooks come late, twice, never or from strangers: every fact is as it happened.

One trial is one seed: some minutes of a center with habits and a network of its own, signed, verified, and landed in
batches of arbitrary size. In three seeds of four, webhooks are lost too; then every fact that rests on none of the lost
ones is there, and no other says more than what came proves. Counted by the share that was lost and by what is claimed:
how much is true, is marked as not known, is decided by a rule although something was lost, and is untrue.
"""

import asyncio
import random
import typing
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

from bench.reliability.campaign import Campaign, Tally
from eventlog.log import Record
from processors.facts import FACTS
from simulator import (
    Faults,
    Plan,
    SimulatedDelivery,
    Truth,
    World,
    deliver,
    simulate,
)
from tests.support import deliveries as requests
from tests.support.builders import (
    NOON,
    Warehouse,
    opened_warehouse,
)
from tests.support.claims import TABLES, Losses, claims

COLUMNS: dict[str, tuple[str, ...]] = {
    field.name: typing.get_args(typing.get_type_hints(Truth)[field.name])[0]._fields for field in fields(Truth)
}
"""The columns of each table of which the simulator knows what happened."""

DROPS = (0.0, 0.01, 0.03, 0.1)
"""The shares of webhooks that are lost, each in every fourth seed."""
UNTIL = NOON + timedelta(days=30)


def run(seed: int, seeds: int) -> Tally:
    """Try `seeds` centers."""
    tally = Tally(trials=seeds)
    for number in range(seeds):
        here = seed * 1_000 + number
        faults = list(_differences(here, tally.counts))
        tally.failures += [f"seed {here}: {fault}" for fault in faults]
        tally.counts["truth_seeds_at_fault"] += bool(faults)
    return tally


def _differences(seed: int, counts: Counter[str]) -> Iterator[str]:
    """What the warehouse says otherwise than what happened."""
    rng = random.Random(f"{seed}/truth")
    world = _world(seed, rng)
    faults = Faults(
        delay_s=rng.choice((0, 1, 30)),
        late=rng.choice((0, 0.1)),
        late_s=rng.choice((600, 40_000)),
        duplicates=rng.choice((0, 0.05, 0.3)),
        drops=DROPS[seed % len(DROPS)],
        forged=0.05,
    )
    sent = deliver(world.events, faults, seed=seed)
    records, answers = asyncio.run(_taken(sent))
    if answers != [401 if each.forged else 200 for each in sent]:
        yield f"answers were {Counter(answers)}"
    delivered = {each.event_id for each in sent if not each.forged}
    truth = world.truth if not faults.drops else world.truth.intact(world.events, delivered)
    counts.update(truth_events=len(world.events), truth_deliveries=len(sent))
    yield from (f"{fact.table}: the simulator knows no truth of it" for fact in FACTS if fact.table not in COLUMNS)
    with opened_warehouse() as warehouse:
        _land(warehouse, records, rng)
        for table, columns in COLUMNS.items():
            found = Counter(warehouse.db.execute(f"select {', '.join(columns)} from {table}").fetchall())
            wanted = Counter(tuple(row) for row in getattr(truth, table))
            counts[f"truth_{table}"] += wanted.total()
            missing, surplus = wanted - found, found - wanted
            if missing or (surplus and not faults.drops):
                yield f"{table}: {missing.total()} missing, {_some(missing)}; {surplus.total()} extra, {_some(surplus)}"
        yield from _untrue(Losses(world, delivered), warehouse, f"{faults.drops:.0%}".replace("%", "_percent"), counts)
        stored = [row["event_id"] for row in warehouse.dicts("events")]
        if Counter(stored) != Counter(delivered):
            yield f"events: {len(delivered)} were delivered, {len(stored)} are stored"


def _untrue(losses: Losses, warehouse: Warehouse, lost: str, counts: Counter[str]) -> Iterator[str]:
    """What the warehouse says more than what came proves. That nobody was abandoned whose bridge came has a count."""
    rows = {table: warehouse.dicts(table) for table in TABLES}
    visits = {f"visit {visit.visit_id}": visit for visit in losses.world.history.visits}
    counts[f"lost_{lost}_visits_without_a_row"] += len(visits) - len(rows["queue_visits"])
    for claim in claims(losses, rows):
        counts[f"lost_{lost}_{claim.whose.split()[0]}_{claim.kind}s_{claim.verdict}"] += 1
        if claim.verdict == "decided":
            counts[f"decided_{claim.decided[0].name.lower()}"] += 1
        if claim.verdict == "untrue":
            counts["truth_said_too_much"] += 1
            yield f"said too much: {claim}"
        if (claim.said, claim.true) == ("abandoned", "answered"):
            visit = visits[claim.whose]
            bridged = next(at for at in visit.leg.bridged if at >= visit.left)
            came = bridged in losses.moments("call.bridged", visit.leg.leg_id)
            counts["truth_abandoned_though_bridged"] += came


def _world(seed: int, rng: random.Random) -> World:
    """A center with habits of its own, at an hour of its own."""
    plan = Plan.medium()
    often = {
        name: rng.choice((getattr(plan.habits, name), rng.random()))
        for name in ("no_pickup", "hangup_while_ringing", "keep_after_hangup", "leave", "overflow", "transfer", "hold")
    }
    often |= {name: rng.random() for name in ("conference", "rejoin", "supervisor", "recording", "announcement")}
    habits = replace(plan.habits, **often, api_v1=rng.choice((0, 0.2)), floor_s=rng.choice((5, 45)))
    start = NOON + timedelta(hours=rng.randrange(72))
    return simulate(
        replace(plan, habits=habits), seed=seed, start=start, duration=timedelta(minutes=rng.randint(3, 20))
    )


async def _taken(sent: Sequence[SimulatedDelivery]) -> tuple[list[Record], list[int]]:
    """What a receiver keeps of the deliveries, and what it answers to each."""
    receiver = requests.a_receiver()
    answers = []
    for each in sent:
        key = requests.OTHER_KEY if each.forged else requests.KEY
        answered = await requests.deliver(receiver.endpoint, each.body, headers=requests.signed(each.body, key=key))
        answers.append(answered.status)
    return receiver.log.records, answers


def _land(warehouse: Warehouse, records: Sequence[Record], rng: random.Random) -> None:
    """In batches of arbitrary size, by a clock that is past all of it."""
    most = len(records) // rng.choice((1, 4, 12)) + 1
    start = 0
    while start < len(records):
        stop = start + rng.randint(most // 4 + 1, most)
        warehouse.land_bodies([record.body for record in records[start:stop]], now=UNTIL)
        start = stop


def _some(rows: Counter[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(rows, key=repr)[:2]


NONE_OF = ("truth_seeds_at_fault", "truth_said_too_much", "truth_abandoned_though_bridged")
CAMPAIGN = Campaign("truth_seeds", run, 200, 8, 4, 420, NONE_OF)
