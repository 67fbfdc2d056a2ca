"""The relay: it publishes the changes of the outbox beside landing, which never waits for it."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from processors.outbox.outbox import Change, Outbox

RETRY_S = 1.0


@dataclass(slots=True)
class Relay:
    """Hands changes to `publish`, in a thread of its own, some at a time, as a context. Used by one thread.

    Each change at least once and the latest last: after a failure it begins again, with the facts as they are then.
    """

    outbox: Outbox
    publish: Callable[[list[Change]], None]
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "relay"))
    _under_way: tuple[int, Future[None]] | None = None
    _not_before: float = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def go_on(self, *, wait_s: float = 0.0) -> bool:
        """Mark what is published, and begin to publish the next changes; returns whether any are under way.

        Waits `wait_s` for those under way. Raises the errors of `publish`, and of the warehouse.
        """
        if self._under_way is not None:
            up_to, done = self._under_way
            if not wait([done], wait_s).done:
                return True
            self._under_way = None
            self._not_before = time.monotonic() + RETRY_S
            done.result()
            self.outbox.mark_published(up_to)
            self._not_before = 0.0
        if time.monotonic() < self._not_before:
            return False
        pending = self.outbox.pending()
        if pending.changes:
            self._under_way = pending.up_to, self._thread.submit(self.publish, pending.changes)
        return self._under_way is not None
