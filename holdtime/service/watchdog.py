"""A watch over the processor: says when it no longer gets anywhere, and when the log has lost what landed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

TIMEOUT = timedelta(minutes=2)

SHORT_LOOKS = 5
"""So often in a row a log has to look as if it had lost something: a new leader may know less for a moment."""


@dataclass(slots=True)
class Watchdog:
    """Told how far landing is, says when it is stuck: records come in, and for `timeout` not one has landed.

    A log that cannot be asked says nothing: whoever waits for it is not stuck, and starting anew would not help.
    """

    timeout: timedelta = TIMEOUT
    _landed: int = -1
    _lag: int = 0
    _since: float = 0.0
    _short_for: int = 0

    def is_stuck(self, landed: int, lag: int, now_s: float, *, publishing: bool = False) -> bool:
        """Say whether the position has stood still too long while the lag grew; `now_s` of a clock that never jumps.

        While the replica is published nothing lands, and a large warehouse takes its time to copy.
        """
        if publishing:
            self.excuse()
            return False
        if landed != self._landed or 0 in {lag, self._lag}:
            self._landed, self._lag, self._since = landed, lag, now_s
            return False
        return lag > self._lag and now_s - self._since > self.timeout.total_seconds()

    def excuse(self) -> None:
        """Begin to watch anew."""
        self._landed = -1

    def has_lost(self, short: Sequence[int]) -> bool:
        """Say whether the log has lost what landed; `short` are the partitions that just ended before it, if any did.

        What comes then gets positions that have landed, and would be passed over.
        """
        self._short_for = self._short_for + 1 if short else 0
        return self._short_for >= SHORT_LOOKS
