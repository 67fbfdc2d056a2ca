"""The reading side of the log on Kafka: asked for batches by position, in a thread of its own."""

import asyncio
import contextlib
import gc
import threading
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import stamina
import structlog
import uvloop
from aiokafka.errors import KafkaError

from eventlog.batch import (
    EMPTY_BATCH,
    Batch,
    Positions,
)
from eventlog.kafka import topics as kafka_topics
from eventlog.kafka.connection import FAILURES, Connection
from eventlog.kafka.session import Session
from eventlog.log import LogUnavailableError

T = TypeVar("T")

TIMEOUT_S = 5.0
"""How long a read waits for records that Kafka has before it raises LogUnavailableError."""

_POLL_S = 0.2
_PARTITIONS_EVERY_S = 30.0

log = structlog.get_logger("kafka")


class KafkaReader:
    """Reads both topics of the log in a thread and event loop of its own, from any position that it is asked for.

    There is no consumer group: this process reads all partitions, and the warehouse knows where to read on. Nothing is
    ever committed to Kafka, so no position is committed whose records have not landed. A partition's records come
    without a gap. Where Kafka has dropped records that were never read, an error is logged, and reading goes on after
    them.
    """

    FIRST_OFFSET = 0

    def __init__(self, connection: Connection, *, timeout_s: float = TIMEOUT_S) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._session: Session | None = None
        self._unavailable = "the Kafka cluster has not answered yet"
        self._stopping = False
        self._fault: Exception | None = None
        self._starting = threading.Lock()

    def close(self) -> None:
        """Stop reading. Must not be called from the thread that reads."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        self._stopping = True
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
        thread.join(10)

    def read(self, after: Positions, limit: int) -> Batch:
        """Return up to `limit` records that follow `after`, at least one if any do; raise LogUnavailableError."""
        give_up = time.monotonic() + self._timeout_s
        session = self._ready(give_up)
        if not session.buffer.is_positioned_after(after):
            self._ask(session.seek(dict(after)))
        ends: Positions = {}
        while True:
            found = session.buffer.take(limit, wait_s=_POLL_S)
            if len(found):
                return found
            if session.buffer.failure is not None:
                raise LogUnavailableError(f"Kafka: {session.buffer.failure}")
            has_passed = bool(ends) and bool(self._ask(session.has_passed(ends)))
            if has_passed:
                return EMPTY_BATCH  # no record came since
            ends = self._ask(session.ends())
            if session.buffer.has_reached(ends):
                return EMPTY_BATCH
            if time.monotonic() > give_up:
                raise LogUnavailableError(f"Kafka has records that it did not give out for {self._timeout_s:.0f} s")

    def end(self) -> Positions:
        """Return the last offset of every partition that ever held records; raise LogUnavailableError."""
        session = self._ready(time.monotonic() + self._timeout_s)
        ends = self._ask(session.ends())
        return {number: following - 1 for number, following in ends.items() if following > 0}

    def forget(self, landed: Positions, before_us: int) -> int:  # noqa: ARG002 - how long records are kept is the topics' setting
        """Drop nothing: the topics' own settings say how long Kafka keeps records."""
        return 0

    def _ready(self, give_up: float) -> "Session":
        with self._starting:
            if self._thread is None:
                self._loop = uvloop.new_event_loop()
                self._thread = threading.Thread(target=self._run, args=(self._loop,), name="kafka-reader", daemon=True)
                self._thread.start()
        while (session := self._session) is None:
            if self._fault is not None:
                raise self._fault
            if time.monotonic() > give_up:
                raise LogUnavailableError(self._unavailable)
            time.sleep(0.01)
        return session

    def _ask(self, question: Coroutine[Any, Any, T]) -> T:
        """Return the answer of the reader's own loop. Raises LogUnavailableError."""
        if self._loop is None:
            raise LogUnavailableError("reading has not begun")
        asked = asyncio.run_coroutine_threadsafe(question, self._loop)
        try:
            return asked.result(self._timeout_s)
        except (KafkaError, OSError, TimeoutError, asyncio.CancelledError) as error:
            asked.cancel()
            raise LogUnavailableError(f"Kafka: {type(error).__name__} {error}") from None

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        gc.freeze()  # today's objects stay: to search them for garbage takes 50 ms, in which nothing lands either
        try:
            loop.run_until_complete(self._serve())
        except asyncio.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001 - raised by the next read
            self._fault = error
        finally:
            loop.close()
            gc.unfreeze()  # DuckDB writes to standard error about objects that are never collected

    async def _serve(self) -> None:
        """Hold a session with the cluster; when it ends, begin a new one."""
        while not self._stopping:
            try:
                async for attempt in stamina.retry_context(on=FAILURES, attempts=None, timeout=None, wait_max=2.0):
                    with attempt:
                        await self._hold()
            except kafka_topics.UnusableTopicError as error:
                self._unavailable = str(error)
                await asyncio.sleep(_PARTITIONS_EVERY_S)

    async def _hold(self) -> None:
        admin = self._connection.admin()
        try:
            await admin.start()
            partitions = await kafka_topics.ensure(admin, self._connection.layout)
        except FAILURES as error:
            self._unavailable = f"Kafka: {type(error).__name__} {error}"
            raise
        finally:
            await admin.close()
        session = Session(self._connection.broker(consumer_only=True), self._connection.layout, partitions)
        async with session.open():
            self._session = session
            try:
                while not session.has_more_partitions():  # noqa: ASYNC110 - Kafka has no event for it
                    await asyncio.sleep(_PARTITIONS_EVERY_S)
            finally:
                self._session = None
                session.buffer.fail("the session with the cluster has ended")
        log.info("log_partitions_changed")
