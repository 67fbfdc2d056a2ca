"""A simulated stretch of a center's life: its webhooks, and what is true of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from simulator import telnyx
from simulator import truth as truths
from simulator.center import Center
from simulator.history import History
from simulator.plan import Plan
from simulator.telnyx import Event
from simulator.truth import Truth


@dataclass(frozen=True)
class World:
    """What happened, and what follows from it; webhooks and truth are made when first asked for."""

    plan: Plan
    seed: int
    history: History

    @cached_property
    def events(self) -> list[Event]:
        """All webhooks, in the order in which things happened."""
        return telnyx.events(self.plan, self.history, seed=self.seed)

    @cached_property
    def truth(self) -> Truth:
        """What the warehouse must show."""
        return truths.truth(self.plan, self.history)


def simulate(plan: Plan, *, seed: int, start: datetime, duration: timedelta) -> World:
    """Return what happens when calls arrive from `start` for `duration`; the same for the same arguments.

    Callers join their queue in that time. They were greeted before it, and the last are talked to their end after it,
    so events begin a little earlier and end a while later. Raises ValueError when `start` has no time zone.
    """
    if start.tzinfo is None:
        raise ValueError(f"start needs a time zone, got {start.isoformat()}")
    start_us = round(start.timestamp() * 1_000_000)
    center = Center(plan, seed=seed, start_us=start_us, duration_us=duration // timedelta(microseconds=1))
    return World(plan, seed, center.run())


def demo(*, seed: int, until: datetime) -> World:
    """Return 24 hours of `Plan.medium()` that lie before `until`.

    Calls stop arriving between one and two hours before it, so that the last of them are over by then.
    """
    start = until.replace(minute=0, second=0, microsecond=0) - timedelta(hours=25)
    return simulate(Plan.medium(), seed=seed, start=start, duration=timedelta(hours=24))
