"""When a processor is stuck, and when the log has lost records that landed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

TIMEOUT = timedelta(minutes=2)

SHORT_LOOKS = 5
"""So often in a row a log has to look as if it had lost something: a new leader may know less for a moment."""


@dataclass(slots=True)
class Watchdog:
    """A processor is stuck when records come in and for `timeout` none has landed.

    While the log cannot be asked, landing waits for it: that is not stuck, and a restart would not help.
    """

    timeout: timedelta = TIMEOUT
    _landed: int = -1
    _lag: int = 0
    _since: float = 0.0
    _short_for: int = 0

    def is_stuck(self, landed: int, lag: int, now_s: float, *, publishing: bool = False) -> bool:
        """Whether the position has not moved for too long while the lag grew; `now_s` is of a clock that never jumps.

        While the replica is published nothing lands, and a large warehouse takes its time to copy.
        """
        if publishing:
            self.reset()
            return False
        if landed != self._landed or 0 in {lag, self._lag}:
            self._landed, self._lag, self._since = landed, lag, now_s
            return False
        return lag > self._lag and now_s - self._since > self.timeout.total_seconds()

    def reset(self) -> None:
        """Begin to watch anew."""
        self._landed = -1

    def has_lost(self, short: Sequence[int]) -> bool:
        """Whether the log has lost records up to a landed position; `short` are the partitions that now end before it.

        New records of such a log get positions that have landed, and would be skipped.
        """
        self._short_for = self._short_for + 1 if short else 0
        return self._short_for >= SHORT_LOOKS
