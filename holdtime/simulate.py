"""`holdtime simulate`: a simulated center's webhooks, signed and posted."""

import asyncio
import base64
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from nacl.signing import SigningKey
from rich.progress import Progress

from holdtime.settings import ConfigurationError
from holdtime.simulator import Delivery, Faults, Plan, Posted, Target, World, deliver, post
from holdtime.simulator import simulate as simulated


@dataclass(frozen=True, slots=True)
class Outcome:
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
    def summary(self) -> str:
        """One line for people."""
        posted = self.posted
        parts = [
            f"[bold]{posted.accepted:,}[/] accepted",
            f"[{'red' if posted.given_up else 'dim'}]{len(posted.given_up):,} given up[/]",
            f"{posted.forged.total():,} forged ({posted.forged[401]:,} refused)",
            f"{posted.accepted / max(posted.seconds, 1e-9):,.0f}/s",
        ]
        return " · ".join(parts)


@dataclass(frozen=True, slots=True)
class Simulation:
    """A key to sign with."""

    key: SigningKey

    @classmethod
    def prepare(cls, key_file: Path) -> Self:
        """Read the key, or make it (mode 0600). Raises ConfigurationError for a file that holds something else."""
        if key_file.exists():
            seed = key_file.read_bytes()
            if len(seed) != 32:
                raise ConfigurationError([f"{key_file}: expected an Ed25519 seed of 32 bytes, found {len(seed)} bytes"])
            return cls(SigningKey(seed))
        key_file.parent.mkdir(parents=True, exist_ok=True)
        key = SigningKey.generate()
        with os.fdopen(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(bytes(key))
        return cls(key)

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
    ) -> Outcome:
        """Simulate, then post, showing both. Raises ConfigurationError for an unusable start or URL."""
        duration = timedelta(hours=hours)
        try:
            Target.parse(url, allow_remote=allow_remote)
            began = _instant(start) if start else now - duration
        except ValueError as error:
            raise ConfigurationError([str(error)]) from None
        task = progress.add_task("simulating", total=None)
        world = simulated(Plan.medium(), seed=seed, start=began, duration=duration)
        deliveries = deliver(world.events, Faults(**faults), seed=seed)
        progress.update(task, description="posting", total=len(deliveries), completed=0)
        posted = self.send(deliveries, url=url, rate=rate, allow_remote=allow_remote, progress=progress)
        came = {delivery.event_id for delivery in deliveries} - set(posted.given_up)
        return Outcome(posted, world, frozenset(event.event_id for event in world.events) - came)

    def send(
        self,
        deliveries: list[Delivery],
        *,
        url: str,
        progress: Progress,
        rate: float | None = None,
        allow_remote: bool = False,
    ) -> Posted:
        """Post the deliveries, moving the newest task of `progress`."""
        task = progress.task_ids[-1]
        return asyncio.run(
            post(
                deliveries,
                url=url,
                key=self.key,
                rate=rate,
                allow_remote=allow_remote,
                progress=lambda posted: progress.update(task, completed=posted.settled),
            )
        )


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"--start: expected a date or a time such as 2026-03-02T08:00, found {text!r}") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
