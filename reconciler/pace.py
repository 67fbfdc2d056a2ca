"""How often Telnyx is asked: never above a budget, and not before it wants to be asked again."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

MINUTE_S = 60.0
MIN_WAIT_S = 0.5
MAX_WAIT_S = 30.0
MAX_RESET_S = 300.0
"""A limit that lasts longer than this is believed no more than this long."""


class WaitReason(StrEnum):
    """Why a request had to wait. Dashboards count these names."""

    BUDGET = "budget"
    LIMIT = "limit"
    FAILURE = "failure"


@dataclass(slots=True)
class Pace:
    """In any minute no more than `per_minute` requests. `clock` counts seconds; `sleep` lets them pass.

    `waited_s` is how long requests had to wait so far: for our own budget, for a limit of Telnyx's, after a failure.
    """

    per_minute: int = 240
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    rng: random.Random = field(default_factory=random.Random)
    waited_s: dict[WaitReason, float] = field(default_factory=lambda: dict.fromkeys(WaitReason, 0.0))
    _asked: deque[float] = field(default_factory=deque)
    _not_before: float = 0.0
    _why: WaitReason = WaitReason.LIMIT

    async def turn(self) -> None:
        """Return when it is time for the next request."""
        while (wait_s := self._wait_s()) > 0:
            began = self.clock()
            why = self._why if began < self._not_before else WaitReason.BUDGET
            await self.sleep(wait_s)
            self.waited_s[why] += self.clock() - began
        self._asked.append(self.clock())

    def heed(self, headers: Mapping[str, str]) -> bool:
        """Wait as the answer's headers ask; returns whether they do: none left until the reset, or Retry-After."""
        wait_s = _seconds(headers.get("retry-after"))
        if wait_s is None and headers.get("x-ratelimit-remaining", "").strip() == "0":
            wait_s = _seconds(headers.get("x-ratelimit-reset"))
        if wait_s is None:
            return False
        self._wait(min(wait_s, MAX_RESET_S), WaitReason.LIMIT)
        return True

    def limited(self, headers: Mapping[str, str], nth: int) -> None:
        """Wait as a 429 asks: until the reset or Retry-After, whichever it names; else as after a failure."""
        named = [_seconds(headers.get(name)) for name in ("x-ratelimit-reset", "retry-after")]
        waits = [wait for wait in named if wait is not None]
        if waits:
            jitter_s = self.rng.uniform(0, 0.25)  # so that not everybody who waited comes at once
            self._wait(min(max(waits), MAX_RESET_S) + jitter_s, WaitReason.LIMIT)
        else:
            self.failed(nth)

    def failed(self, nth: int) -> None:
        """Wait after the `nth` failure in a row: twice as long each time, less a random part of up to a half."""
        longest_s = min(MIN_WAIT_S * 2 ** (nth - 1), MAX_WAIT_S)
        self._wait(longest_s * self.rng.uniform(0.5, 1), WaitReason.FAILURE)

    def _wait(self, seconds: float, why: WaitReason) -> None:
        until = self.clock() + seconds
        if until > self._not_before:
            self._not_before, self._why = until, why

    def _wait_s(self) -> float:
        now = self.clock()
        while self._asked and now - self._asked[0] >= MINUTE_S:
            self._asked.popleft()
        full_s = self._asked[0] + MINUTE_S - now if len(self._asked) >= self.per_minute else 0.0
        return max(full_s, self._not_before - now)


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text) if text is not None else None
    except ValueError:
        return None
    return seconds if seconds is not None and 0 <= seconds < float("inf") else None
