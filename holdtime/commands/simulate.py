"""`holdtime simulate`: a simulated center's webhooks, signed and posted."""

import asyncio
import base64
import math
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from nacl.signing import SigningKey
from rich.progress import Progress

from holdtime.config.settings import ConfigurationError
from reports.formats import output
from simulator import (
    Faults,
    Plan,
    Posted,
    SimulatedDelivery,
    Target,
    World,
    deliver,
    post,
)
from simulator import simulate as simulated
from simulator.keep_alive import BROKEN
from simulator.poster import unreachable

_SEED_BYTES = 32
_MEANINGS = {
    BROKEN: "the receiver went away, or did not answer in time",
    400: "the receiver could not read it: is that holdtime, over http?",
    401: "the receiver refused the signature: is its TELNYX_PUBLIC_KEY the simulator's, and its clock right?",
    404: "nothing takes webhooks at that path: expected /webhooks/telnyx",
    421: "the receiver does not go by that name: give --url its address",
    503: "the receiver could not take it now: its log says why",
}

_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2199, 1, 1, tzinfo=UTC)
"""An event outside of these years lands by the time of its receipt."""


class NothingListensError(ConfigurationError):
    """Nothing listens at that URL."""


@dataclass(frozen=True, slots=True)
class SimulationOutcome:
    """What became of a simulation's deliveries."""

    posted: Posted
    world: World
    lost: frozenset[str]
    """The ids of the webhooks that were never posted, or never taken."""

    @property
    def complete(self) -> bool:
        """Whether every authentic delivery was accepted in the end, and no forgery."""
        return not self.posted.given_up and not self.posted.forged[200]

    @property
    def summary(self) -> list[str]:
        """Lines for people: deliveries accepted, given up and forged, and the last answers to those given up."""
        posted = self.posted
        parts = [
            f"[bold]{posted.accepted:,}[/] accepted",
            f"[{'red' if posted.given_up else 'dim'}]{len(posted.given_up):,} given up[/]",
            f"{posted.forged.total():,} forged ({posted.forged[401]:,} refused)",
            f"{posted.accepted / max(posted.seconds, 1e-9):,.0f}/s",
        ]
        return [" · ".join(parts), *untaken(posted)]


def untaken(posted: Posted) -> list[str]:
    """Count the deliveries that were given up by the last answer to each, a line an answer."""
    return [f"[red]{count:,} given up after[/] {said(status)}" for status, count in posted.refusals.most_common()]


def said(status: int) -> str:
    """Say what an answer means: the status and why."""
    return f"{status or 'no answer'}: {_MEANINGS.get(status, 'the receiver refused it')}"


@dataclass(frozen=True, slots=True)
class Simulation:
    """A key to sign with."""

    key: SigningKey

    @classmethod
    def prepare(cls, key_file: Path) -> Self:
        """Read the key, or make it (mode 0600). Raises ConfigurationError for a file that holds something else."""
        if not key_file.exists():
            output.write({key_file: bytes(SigningKey.generate())}, mode=0o600)
        with key_file.open("rb") as file:
            seed = file.read(_SEED_BYTES + 1)
        if len(seed) != _SEED_BYTES:
            found = f"{len(seed)} bytes" if len(seed) < _SEED_BYTES else "more"
            raise ConfigurationError([f"{key_file}: expected an Ed25519 seed of {_SEED_BYTES} bytes, found {found}"])
        return cls(SigningKey(seed))

    @property
    def public_key(self) -> str:
        """What TELNYX_PUBLIC_KEY must hold to believe this simulator."""
        return base64.b64encode(bytes(self.key.verify_key)).decode()

    def post(
        self,
        *,
        url: str,
        hours: float,
        rate: float | None,
        seed: int,
        start: str | None,
        faults: dict[str, float],
        allow_remote: bool,
        progress: Progress,
        now: datetime,
        may_be_away: bool = False,
    ) -> SimulationOutcome:
        """Simulate, then post, showing both. Raises ConfigurationError for an unusable start or URL.

        Where nothing listens, too, unless the receiver `may_be_away`: then all deliveries are lost.
        """
        for name, number in {"hours": hours, "rate": rate, **faults}.items():
            if number is not None and not math.isfinite(number):
                raise ConfigurationError([f"--{name.removesuffix('_s')}: expected a number, found {number}"])
        duration = timedelta(hours=hours)
        try:
            Target.parse(url, allow_remote=allow_remote)
            began = now - duration if start is None else _instant(start)
        except ValueError as error:
            raise ConfigurationError([f"--url: {error}" if "--start" not in str(error) else str(error)]) from None
        task = progress.add_task("simulating", total=None)
        world = simulated(Plan.medium(), seed=seed, start=began, duration=duration)
        deliveries = deliver(world.events, Faults(**faults), seed=seed)
        progress.update(task, description="posting", total=len(deliveries), completed=0)
        try:
            posted = self.send(deliveries, url=url, rate=rate, allow_remote=allow_remote, progress=progress)
        except NothingListensError as error:
            if not may_be_away:
                raise
            progress.console.print(str(error), soft_wrap=True)
            ids = [delivery.event_id for delivery in deliveries if not delivery.forged]
            posted = Posted(given_up=ids, refusals=Counter({BROKEN: len(ids)}))
        came = {delivery.event_id for delivery in deliveries} - set(posted.given_up)
        return SimulationOutcome(posted, world, frozenset(event.event_id for event in world.events) - came)

    def send(
        self,
        deliveries: list[SimulatedDelivery],
        *,
        url: str,
        progress: Progress,
        rate: float | None = None,
        allow_remote: bool = False,
    ) -> Posted:
        """Post the deliveries, moving the newest task of `progress` and printing each kind of refusal once.

        Raises NothingListensError before any of them is posted; one that goes away later is tried again, as Telnyx
        does.
        """
        task, shown = progress.task_ids[-1], set[int]()

        def show(posted: Posted) -> None:
            progress.update(task, completed=posted.settled)
            for status in posted.refusals.keys() - shown:
                shown.add(status)
                progress.console.print(said(status), soft_wrap=True)

        async def sent() -> Posted:
            fault = await unreachable(url, allow_remote=allow_remote) if deliveries else None
            if fault is not None:
                raise NothingListensError([f"{fault}: start `holdtime up`, or give its address with --url"])
            return await post(deliveries, url=url, key=self.key, rate=rate, allow_remote=allow_remote, progress=show)

        return asyncio.run(sent())


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"--start: expected a date or a time such as 2026-03-02T08:00, found {text!r}") from None
    if not _EARLIEST <= at <= _LATEST:
        raise ValueError(f"--start: expected a time from {_EARLIEST:%Y-%m-%d} to {_LATEST:%Y-%m-%d}, found {text!r}")
    return at
