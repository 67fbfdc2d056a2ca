"""How far a processor is, and what it does now and then."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from eventlog.batch import Positions


@dataclass(slots=True)
class Progress:
    """How far the processor is. Written by its thread, read by any.

    `published` is how far the log had landed in the replica that is out, `unpublished` why the last try to put one out
    came to nothing, and `publishing` whether landing stands still for a copy.
    """

    landed: Positions = field(default_factory=dict)
    last_landed_at: datetime | None = None
    replica_at: datetime | None = None
    published: Positions = field(default_factory=dict)
    unpublished: str | None = None
    publishing: bool = False


@dataclass(slots=True)
class Duty:
    """Something to be done now and then."""

    every: timedelta
    done_at: datetime

    def is_due(self, now: datetime) -> bool:
        """Say whether it is time, and if so take it as done."""
        if timedelta(0) <= now - self.done_at < self.every:  # a clock that was set back is no reason to wait
            return False
        self.done_at = now
        return True
