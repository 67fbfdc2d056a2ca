"""The way from Telnyx to us: deliveries come late, twice, never, or from somebody else.

Telnyx promises no order, delivers concurrently and may deliver again; a retry has the same event id and another
`meta.attempt`.
"""

import json
import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from simulator import identity, telnyx
from simulator.telnyx import Event

_S = 1_000_000


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares (0 to 1) of events, and mean delays in seconds. `NONE` delivers each at once, once, in order."""

    delay_s: float = 0.0
    """Mean of each delivery's exponential delay, which disorders them."""
    late: float = 0.0
    """Of events: delivered with `late_s` as the mean delay."""
    late_s: float = 300.0
    duplicates: float = 0.0
    """Of events: delivered again, with a higher attempt; of these as many again a third time, and so on."""
    retry_s: float = 5.0
    drops: float = 0.0
    """Of events: never delivered."""
    forged: float = 0.0
    """Of events: followed by an altered one that Telnyx never sent, to be signed with another key."""

    def __post_init__(self) -> None:
        for name in ("late", "duplicates", "drops", "forged"):
            share = getattr(self, name)
            if not 0 <= share <= 1 or (name == "duplicates" and share == 1):
                raise ValueError(f"{name} is a share from 0 to 1 (duplicates: below 1), got {share!r}")


NONE = Faults()


class SimulatedDelivery(NamedTuple):
    """One request. `offset_us` is when it arrives, counted from the first event, in simulated microseconds."""

    offset_us: int
    event_id: str
    attempt: int
    forged: bool
    body: bytes


def deliver(events: Iterable[Event], faults: Faults = NONE, *, seed: int = 0) -> list[SimulatedDelivery]:
    """Return the deliveries of `events` in order of arrival; the same for the same arguments."""
    rng = random.Random(f"{seed}/network")
    deliveries: list[SimulatedDelivery] = []
    began: int | None = None
    for event in events:
        began = event.at if began is None else began
        if rng.random() < faults.drops:
            continue
        mean_s = faults.late_s if rng.random() < faults.late else faults.delay_s
        arrives = event.at - began + _delay(rng, mean_s)
        deliveries.append(SimulatedDelivery(arrives, event.event_id, 1, False, event.body))
        number = 1
        while rng.random() < faults.duplicates:
            number += 1
            arrives += _delay(rng, faults.retry_s)
            again = telnyx.attempt(event.body, number)
            deliveries.append(SimulatedDelivery(arrives, event.event_id, number, False, again))
        if rng.random() < faults.forged:
            deliveries.append(_forgery(rng, event, arrives))
    deliveries.sort(key=lambda delivery: delivery.offset_us)
    return deliveries


def _delay(rng: random.Random, mean_s: float) -> int:
    return round(rng.expovariate(1 / mean_s) * _S) if mean_s > 0 else 0


def _forgery(rng: random.Random, event: Event, arrives: int) -> SimulatedDelivery:
    """Return a body that would count, were it believed: it has an event id and a leg of its own."""
    body = json.loads(event.body)
    forged = body.get("data", body)
    forged["id"] = identity.event_id(rng)
    forged["payload"]["call_leg_id"] = identity.leg_id(rng, event.at)
    return SimulatedDelivery(arrives, forged["id"], 1, True, json.dumps(body, separators=(",", ":")).encode())
