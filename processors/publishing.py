"""Publishing: when the replica is put out, beside landing, and again by itself after it could not be."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Protocol, Self

import duckdb
import structlog

from eventlog.batch import Positions
from processors.metrics import ProcessorMetrics
from processors.progress import Duty, Progress
from warehouse.errors import Trouble, UnavailableError, ends_connection, trouble
from warehouse.replica import DamagedCopyError

AGAIN = timedelta(seconds=1)
AGAIN_AT_MOST = timedelta(seconds=5)
"""How long after a failure publishing is tried again: twice as long each time, up to this."""

LOOK_S = 0.2
"""How often it is looked whether another program spoiled what is published: two calls of the system."""

log = structlog.get_logger("processor")


class ReplicaPublisher(Protocol):
    """Publishes the replica in two steps; `warehouse.replica.Publisher` does."""

    def copy(self) -> None:
        """Copy the warehouse as it is, in landing's thread. Raises OSError, duckdb.Error, DamagedError."""

    def put_out(self) -> None:
        """Check the copy and put it out, in any thread. Raises DamagedCopyError, UnavailableError, OSError."""

    def spoiled(self) -> str | None:
        """Say what another program did to what is published, or None. Raises OSError."""

    def blame(self, error: DamagedCopyError) -> None:
        """Raise DamagedError where the warehouse is as damaged as its copy, in landing's thread."""

    def make_last(self) -> None:
        """See to it that what is published stays so when the power fails. Raises OSError."""


@dataclass(slots=True)
class Publishing:
    """Publishes when something landed and the last copy is old enough, as a context. Used by landing's thread.

    A copy is made in that thread, for nothing may be committed meanwhile; it is checked and put out in another one.
    At most a tenth of the time goes into it.
    """

    publisher: ReplicaPublisher
    progress: Progress
    metrics: ProcessorMetrics
    clock: Callable[[], datetime]
    every: timedelta
    _due: Duty = field(init=False)
    _wanted: bool = False
    _failures: int = 0
    _not_before: float = 0.0
    _look_at: float = 0.0
    _under_way: "_Copy | None" = None
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "publishing"))

    def __post_init__(self) -> None:
        """Nothing is due yet."""
        self._due = Duty(self.every, self.clock())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def go_on(self, *, changed: bool) -> None:
        """Take note of a change, and do what is due. Raises what only opening the warehouse anew can mend."""
        self._wanted = self._wanted or changed
        self._finish()
        if self._under_way is not None:
            return
        if self._is_spoiled() or (self._wanted and self._may_begin()):
            self._begin()

    def now(self) -> None:
        """Publish what has landed, at once, and wait for it. Raises what `go_on` raises."""
        self.progress.publishing = True
        try:
            self._finish(wait=True)
            self._begin()
            self._finish(wait=True)
            self._due.every = self.every
        finally:
            self.progress.publishing = False

    def _is_spoiled(self) -> bool:
        """Look at what is published: a few times a second, and less often where it was just spoiled."""
        if time.monotonic() < self._look_at:
            return False
        self._look_at = time.monotonic() + LOOK_S
        try:
            reason = self.publisher.spoiled()
        except OSError as error:
            reason = str(error)
        if reason is None:
            return False
        self._look_at = time.monotonic() + self._due.every / timedelta(seconds=1)
        self._wanted = True
        log.warning("replica_spoiled", reason=reason, do="open it read-only: see docs/warehouse.md")
        return not self._failures

    def _may_begin(self) -> bool:
        if self._failures:
            return time.monotonic() >= self._not_before
        return self._due.is_due(self.clock())

    def _begin(self) -> None:
        copy = _Copy(self.clock(), time.monotonic(), dict(self.progress.landed))
        before, self.progress.publishing = self.progress.publishing, True
        try:
            self.publisher.copy()
        except (OSError, duckdb.Error) as error:
            if ends_connection(error) or trouble(error) is Trouble.DAMAGED or isinstance(error, FileNotFoundError):
                raise  # the warehouse has to be opened anew: it is damaged, or somebody removed it
            self._failed(error, copy)
        else:
            self._wanted = False
            copy.done = self._thread.submit(self._put_out, copy)
            self._under_way = copy
        finally:
            self.progress.publishing = before

    def _put_out(self, copy: "_Copy") -> None:
        try:
            self.publisher.put_out()
        finally:
            copy.took = timedelta(seconds=time.monotonic() - copy.began)

    def _finish(self, *, wait: bool = False) -> None:
        copy = self._under_way
        if copy is None or copy.done is None or not (wait or copy.done.done()):
            return
        self._under_way = None
        try:
            copy.done.result()
        except DamagedCopyError as error:
            self.publisher.blame(error)
            self._failed(error, copy)
        except (OSError, UnavailableError) as error:
            self._failed(error, copy)
        else:
            self._failures = 0
            self._due.every = max(self.every, 10 * copy.took)
            self.progress.published, self.progress.replica_at = copy.positions, copy.at
            self.progress.unpublished = None
            self.metrics.unpublished.set(0)

    def _failed(self, error: Exception, copy: "_Copy") -> None:
        again = max(min(AGAIN * 2 ** min(self._failures, 9), AGAIN_AT_MOST), 10 * copy.took)
        self._wanted = True
        self._failures += 1
        self._not_before = time.monotonic() + again / timedelta(seconds=1)
        self.progress.unpublished = str(error)
        self.metrics.unpublished.set(1)
        log.error("replica_not_published", reason=str(error), retry_s=again / timedelta(seconds=1))


@dataclass(slots=True)
class _Copy:
    """A copy that is being made or checked: of what, since when."""

    at: datetime
    began: float
    positions: Positions
    done: Future[None] | None = None
    took: timedelta = timedelta(0)
