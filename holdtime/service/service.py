"""A process that serves: whether it is ready, and its status."""

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from eventlog.log import LogExtent, LogUnavailableError
from holdtime.config.settings import Settings
from holdtime.service.components import Components
from holdtime.service.steady_clock import SteadyClock
from holdtime.service.supervisor import DRAIN, Supervisor
from reconciler.status import ReconcilerStatus
from warehouse.errors import Trouble

__all__ = ["DRAIN", "Service"]

log = structlog.get_logger("holdtime")


@dataclass(slots=True)
class Service:
    """One process: whether it ingests, lands or both, and how far it is."""

    settings: Settings
    components: Components
    ingests: bool
    lands: bool
    stop: threading.Event = field(default_factory=threading.Event)
    clock: SteadyClock = field(default_factory=SteadyClock)
    supervisor: Supervisor = field(init=False)
    reconciling: ReconcilerStatus | None = field(init=False)

    def __post_init__(self) -> None:
        """Nothing lands yet. One process that does everything reconciles too, where it has a key to ask Telnyx with."""
        has_key = bool(self.settings.environment.api_key.get_secret_value())
        self.reconciling = ReconcilerStatus() if self.ingests and self.lands and has_key else None
        components = self.components
        self.supervisor = Supervisor(
            self.settings, components.log, components.processor_metrics, self.ingests, self.stop, self.clock
        )

    def unready(self) -> str | None:
        """Say why no request should come here now, or None. Deliveries only need the log: landing may be away."""
        if self.ingests and self.components.log.unavailable:
            return self.components.log.unavailable
        if not self.lands:
            return None
        away = self.supervisor.away
        if self.ingests and (away is not None or self.components.warehouse is None):
            return None
        if away is not None:
            return _reason(away.why, away.reason, by_holdtime=away.by_holdtime)
        progress = self.supervisor.progress
        if progress is None or not (progress.replica_at or progress.unpublished):
            return "the warehouse is still being opened"
        return None

    def status(self) -> dict[str, object]:
        """How far log, warehouse and replica are; null where that cannot be said."""
        progress, away = self.supervisor.progress, self.supervisor.away
        held = lag = None
        try:
            extent = LogExtent.of(self.components.log)
            held, lag = extent.held, extent.lag(progress.landed if progress else {})
        except LogUnavailableError as error:
            log.warning("log_unreadable", reason=str(error))
        return {
            "log_end": held,
            "landed": held - lag if progress and held is not None and lag is not None else None,
            "lag_events": lag if progress else None,
            "last_landed_at": _iso(progress.last_landed_at if progress else None),
            "replica_at": _iso(progress.replica_at if progress else None),
            "replica_failing": progress.unpublished if progress else None,
            "standby": away is not None and away.why is Trouble.HELD,
            "landing_away": away and {"why": away.why, "reason": away.reason, "since": _iso(away.since)},
            "deliveries": self.components.refusals.status() if self.ingests else None,
            "damaged_records": self.components.processor_metrics.damaged_records if self.lands else None,
            "set_aside": [str(path) for path in self.components.log.set_aside()],
            "reconciler": self.reconciling.as_json() if self.reconciling else None,
        }

    async def process(self) -> None:
        """Land until the stop is set, from when the warehouse is free, and again after any error."""
        await self.supervisor.run(self.components.warehouse)


def _reason(why: Trouble, reason: str, *, by_holdtime: bool) -> str:
    if why is not Trouble.HELD:
        return f"landing is away: {reason}"
    return "standby: another process has the warehouse" if by_holdtime else f"standby: {reason}"


def _iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat() if at else None
