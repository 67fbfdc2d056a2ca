"""The rows of the ledger: runs, and the deliveries of each."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

FOLDER = "folder"
"""The key of a delivery into a folder. Writing the same files again does no harm, so of it there is never a doubt."""


class RunKind(StrEnum):
    """Why a run sends: its cron expression named the time, `--now` asked for it, or a run failed."""

    CRON = "cron"
    NOW = "now"
    NOTICE = "notice"


class RunState(StrEnum):
    """How far a run is. The last two are final."""

    WAITING = "waiting"
    SENDING = "sending"
    DONE = "done"
    FAILED = "failed"


class DeliveryState(StrEnum):
    """How far a delivery is. The last three are final; `doubtful` began, and nobody can know whether it was sent."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    DOUBTFUL = "doubtful"


@dataclass(frozen=True, slots=True)
class RunId:
    """One run of a schedule."""

    schedule: str
    kind: RunKind
    due: datetime


@dataclass(frozen=True, slots=True)
class ScheduledRun:
    """A run as it was written down. `message` is there while somebody still has to get it."""

    id: RunId
    started_at: datetime
    state: RunState
    reason: str
    message: bytes | None


@dataclass(frozen=True, slots=True)
class RunDelivery:
    """A run on its way to one recipient."""

    recipient: str
    label: str
    state: DeliveryState
    attempts: int
    at: datetime
    reason: str
