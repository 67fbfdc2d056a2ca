"""Telling: changed facts go to whoever listens, beside landing, which never waits for that."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from processors.landing.landing import Landing
from processors.outbox.outbox import Change

AGAIN_S = 1.0
"""How long after a failure to try again."""


@dataclass(slots=True)
class Telling:
    """Hands changed facts to `publish`, in a thread of its own, some at a time, as a context. Used by one thread.

    At least once each and the latest last: what `publish` could not do is begun again, as it is then.
    """

    landing: Landing
    publish: Callable[[list[Change]], None]
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "telling"))
    _under_way: tuple[int, Future[None]] | None = None
    _not_before: float = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def go_on(self, *, wait_s: float = 0.0) -> bool:
        """Note what has been told, and begin to tell what comes next; returns whether anything is under way.

        Waits so long for what is under way. Raises what `publish` raised, and what the warehouse raises.
        """
        if self._under_way is not None:
            up_to, done = self._under_way
            if not wait([done], wait_s).done:
                return True
            self._under_way = None
            self._not_before = time.monotonic() + AGAIN_S
            done.result()
            self.landing.told(up_to)
            self._not_before = 0.0
        if time.monotonic() < self._not_before:
            return False
        pending = self.landing.to_be_told()
        if pending.changes:
            self._under_way = pending.up_to, self._thread.submit(self.publish, pending.changes)
        return self._under_way is not None
