"""Whether landing goes on, and why not: for readiness, `/status` and metrics."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import structlog

from holdtime.config.settings import ConfigurationError
from processors.metrics import ProcessorMetrics
from warehouse.errors import LockedError, Trouble, WarehouseError, described, trouble

EXPLAINED = (WarehouseError, ConfigurationError, ValueError, OSError, duckdb.Error)
"""Errors whose text says what is wrong; of others the log gets the stack."""

log = structlog.get_logger("holdtime")


@dataclass(frozen=True, slots=True)
class Away:
    """Why nothing lands, in a word and in a line, and since when (UTC)."""

    why: Trouble
    reason: str
    since: datetime
    by_holdtime: bool = False


@dataclass(slots=True)
class LandingState:
    """`away` is None while landing goes on. Written by the supervisor and its watch, on the event loop."""

    warehouse: Path
    metrics: ProcessorMetrics
    away: Away | None = None

    def fail(self, error: Exception) -> None:
        """Note the error that ended landing. One that follows another keeps the time of the first."""
        held, why = isinstance(error, LockedError), trouble(error)
        if held and (self.away is None or self.away.why is not Trouble.HELD):
            log.info("standing_by", reason=str(error))
        since = self.away.since if self.away is not None else datetime.now(UTC)
        by_holdtime = isinstance(error, LockedError) and error.by_holdtime
        self.away = Away(why, self.described(error), since, by_holdtime)
        self.metrics.standby.set(int(held))
        self.metrics.landing_away(why)

    def get_stuck(self, reason: str) -> None:
        """Note that landing goes on and gets nowhere."""
        self.away = Away(Trouble.STUCK, reason, datetime.now(UTC))
        self.metrics.landing_away(Trouble.STUCK)

    def resume(self, event: str = "landing_again") -> None:
        """Note that landing goes on; the log gets `event`."""
        self.away = None
        self.metrics.landing_away(None)
        log.info(event)

    def described(self, error: Exception) -> str:
        """Return the error in a line for people."""
        if isinstance(error, ConfigurationError):
            return str(error)
        text = described(error, self.warehouse)
        return text if isinstance(error, EXPLAINED) else f"{text} ({type(error).__name__})"
