"""The status of reconciling: of each source its counts, when it was last read to its end, and why it was not."""

from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass(slots=True)
class SourceStatus:
    """The counts of one source since this process began.

    `fault` says why the last run did not read it to its end; `forbidden`, that the account may not use it.
    """

    read: int = 0
    published: int = 0
    succeeded_at: datetime | None = None
    fault: str | None = None
    forbidden: bool = False


@dataclass(slots=True)
class ReconcilerStatus:
    """All sources. Written by the reconciler, read by any thread.

    `succeeded_at` is when a run last ended in which every source that may be used was read to its end. `fault` is why
    the last run did not end at all.
    """

    sources: dict[str, SourceStatus] = field(default_factory=dict)
    began_at: datetime | None = None
    ended_at: datetime | None = None
    succeeded_at: datetime | None = None
    fault: str | None = None

    def begin(self, now: datetime) -> None:
        """Note that a run begins."""
        self.began_at = now

    def end(self, now: datetime) -> None:
        """Note that a run came to its end."""
        self.ended_at, self.fault = now, None
        useful = [each for each in self.sources.values() if not each.forbidden]
        if useful and all(each.fault is None for each in useful):
            self.succeeded_at = now

    def as_json(self) -> dict[str, object]:
        """Return it as JSON has it: instants as text, and the sources that were not read to their end, with why."""
        return {
            "began_at": _iso(self.began_at),
            "ended_at": _iso(self.ended_at),
            "succeeded_at": _iso(self.succeeded_at),
            "published": sum(each.published for each in self.sources.values()),
            "fault": self.fault,
            "skipped": {name: each.fault for name, each in self.sources.items() if each.fault is not None},
        }


def _iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat() if at else None
