"""What a report rests on: events of the log, up to a position, and the definitions that made facts of them."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Basis:
    """How far the log had landed in the file that a report was read from, and how old that file is.

    `landed_at` is when the last batch landed, and `published_at` when the file was written (None for a warehouse that
    is read directly). `positions` holds (partition, last offset), `events` how many events there are.
    `fact_definitions` are digests of the definitions that the facts were derived by, `longest_wait_ms` how long a visit
    may last.
    `as_of` is set where later events were left out on purpose: it is when the last record up to the positions was
    received, and the facts were derived by that clock; `landed_at` and `published_at` are None then.
    """

    landed_at: datetime | None
    published_at: datetime | None
    positions: tuple[tuple[int, int], ...]
    events: int
    fact_definitions: tuple[str, ...] = ()
    longest_wait_ms: int | None = None
    as_of: datetime | None = None

    @property
    def position(self) -> str:
        """Return the positions as `report --as-of` takes them: 0:12345,1:678."""
        return ",".join(f"{partition}:{offset}" for partition, offset in self.positions)
