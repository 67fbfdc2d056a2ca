"""The reading side of the log on Kafka: a FastStream batch subscriber, asked for batches by position."""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, TypeAlias, TypeVar, cast

import stamina
import structlog
import uvloop
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka import TopicPartition as Partition
from aiokafka.errors import KafkaError
from faststream.exceptions import FastStreamException
from faststream.kafka import KafkaBroker, KafkaMessage, TopicPartition
from faststream.kafka.message import FAKE_CONSUMER
from faststream.kafka.subscriber.usecase import LogicSubscriber
from faststream.middlewares import AckPolicy

from ingest import kafka_topics
from ingest.batch import NOTHING, Batch, Positions
from ingest.kafka_connection import Connection
from ingest.kafka_records import batch
from ingest.kafka_topics import partition_number
from ingest.log import LogUnavailableError

T = TypeVar("T")
Record: TypeAlias = ConsumerRecord

BUFFER_BYTES = 96 << 20
"""As much is read ahead, beside the batch that lands."""

PATIENCE_S = 5.0
"""How long a read waits for records that are there, before it says that the log cannot serve."""

_LOOK_S = 0.2
_POLL_MS = 20
_PARTITIONS_EVERY_S = 30.0

log = structlog.get_logger("kafka")


class KafkaReader:
    """Reads both topics of the log in a thread and event loop of its own, from whatever position it is asked for.

    There is no consumer group: all partitions are ours, where to read on is for the warehouse to say, and nothing is
    ever committed, so nothing can be committed that has not landed. Every partition is handed out without a gap; where
    Kafka itself has dropped records that were never read, that is said loudly, and reading goes on after them.
    """

    FIRST_OFFSET = 0

    def __init__(self, connection: Connection, *, patience_s: float = PATIENCE_S) -> None:
        self._connection = connection
        self._patience_s = patience_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._session: _Session | None = None
        self._unavailable = "the Kafka cluster has not answered yet"
        self._stopping = False
        self._starting = threading.Lock()

    def close(self) -> None:
        """Stop reading; must not be called from the thread that reads."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        self._stopping = True
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
        thread.join(10)

    def read(self, after: Positions, limit: int) -> Batch:
        """Return up to `limit` records that follow `after`, at least one if any do; raise LogUnavailableError."""
        give_up = time.monotonic() + self._patience_s
        session = self._ready(give_up)
        if not session.stands_after(after):
            self._ask(session.seek(dict(after)))
        while True:
            found = session.take(limit, wait_s=_LOOK_S)
            if found:
                return batch(found)
            if session.broken is not None:
                raise LogUnavailableError(f"Kafka: {session.broken}")
            if session.stands_at(self._ask(session.ends())):
                return NOTHING
            if time.monotonic() > give_up:
                raise LogUnavailableError(f"Kafka has records that it did not give out for {self._patience_s:.0f} s")

    def end(self) -> Positions:
        """Return the last offset of every partition that ever held records; raise LogUnavailableError."""
        session = self._ready(time.monotonic() + self._patience_s)
        ends = self._ask(session.ends())
        return {number: following - 1 for number, following in ends.items() if following > 0}

    def forget(self, landed: Positions, before_us: int) -> int:  # noqa: ARG002 - how long records are kept is the topics' setting
        """Drop nothing: Kafka keeps what its topics are set to keep."""
        return 0

    def _ready(self, give_up: float) -> "_Session":
        with self._starting:
            if self._thread is None:
                self._loop = uvloop.new_event_loop()
                self._thread = threading.Thread(target=self._run, args=(self._loop,), name="kafka-reader", daemon=True)
                self._thread.start()
        while (session := self._session) is None:
            if time.monotonic() > give_up:
                raise LogUnavailableError(self._unavailable)
            time.sleep(0.01)
        return session

    def _ask(self, question: Coroutine[Any, Any, T]) -> T:
        """The answer of the reader's own loop."""
        if self._loop is None:
            raise LogUnavailableError("reading has not begun")
        asked = asyncio.run_coroutine_threadsafe(question, self._loop)
        try:
            return asked.result(self._patience_s)
        except (KafkaError, OSError, TimeoutError, asyncio.CancelledError) as error:
            asked.cancel()
            raise LogUnavailableError(f"Kafka: {type(error).__name__} {error}") from None

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(self._serve())
        loop.close()

    async def _serve(self) -> None:
        """Hold a session with the cluster, and begin a new one whenever it ends."""
        while not self._stopping:
            try:
                async for attempt in stamina.retry_context(on=_FAILURES, attempts=None, timeout=None, wait_max=2.0):
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
        except _FAILURES as error:
            self._unavailable = f"Kafka: {type(error).__name__} {error}"
            raise
        finally:
            await admin.close()
        session = _Session(self._connection.broker(consumer_only=True), self._connection.layout, partitions)
        async with session.open():
            self._session = session
            try:
                while not session.has_more_partitions():  # noqa: ASYNC110 - Kafka has no event for it
                    await asyncio.sleep(_PARTITIONS_EVERY_S)
            finally:
                self._session = None
                session.break_off("the session with the cluster has ended")
        log.info("log_partitions_changed")


_FAILURES = (KafkaError, FastStreamException, OSError)


@dataclass(slots=True)
class _Session:
    """A subscriber to all partitions, what it has read and nobody has taken yet, and where it stands.

    `next_read` and `next_taken` give, by partition, the offset that has to come next from Kafka and from the buffer.
    """

    broker: KafkaBroker
    layout: kafka_topics.Layout
    partitions: dict[str, int]
    broken: str | None = None
    next_read: Positions = field(default_factory=dict)
    next_taken: Positions = field(default_factory=dict)
    _buffer: deque[list[Record]] = field(default_factory=deque)
    _bytes: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _room: asyncio.Event = field(default_factory=asyncio.Event)
    _loop: asyncio.AbstractEventLoop | None = None
    _consumer: AIOKafkaConsumer | None = None
    _gaps: set[int] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def open(self) -> Any:
        """Subscribe, without a group, to every partition."""
        self._loop = asyncio.get_running_loop()
        self._room.set()
        assigned = [
            TopicPartition(topic, number, declare=False)
            for topic, count in self.partitions.items()
            for number in range(count)
        ]
        subscriber = self.broker.subscriber(
            partitions=assigned,
            batch=True,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            batch_timeout_ms=_POLL_MS,
            max_records=20_000,
            fetch_max_bytes=16 << 20,
            max_partition_fetch_bytes=8 << 20,
            no_reply=True,
            parser=_as_it_is,
            decoder=_raw,
        )
        subscriber(self._take_in)
        require_manual(self.broker)
        try:
            await self.broker.start()
            self._consumer = subscriber.consumer
            for topic, count in self.partitions.items():
                for number in range(count):
                    self.next_read[partition_number(topic, number)] = -1  # nobody has asked for anything yet
            self.next_taken = dict(self.next_read)
            yield self
        finally:
            await self.broker.stop()

    def stands_after(self, after: Positions) -> bool:
        """Say whether what will be taken next is what follows `after`."""
        with self._changed:
            return self.next_taken == {number: after.get(number, -1) + 1 for number in self.next_taken}

    def stands_at(self, ends: Positions) -> bool:
        """Say whether everything before `ends` has been taken."""
        with self._changed:
            return all(self.next_taken[number] >= following for number, following in ends.items())

    def take(self, limit: int, *, wait_s: float) -> list[Record]:
        """Return up to `limit` records out of the buffer, waiting up to `wait_s` for the first."""
        taken: list[Record] = []
        with self._changed:
            self._changed.wait_for(lambda: self._buffer or self.broken, wait_s)
            while self._buffer and len(taken) < limit:
                run = self._buffer[0]
                part = run[: limit - len(taken)]
                taken += part
                if len(part) == len(run):
                    self._buffer.popleft()
                else:
                    self._buffer[0] = run[len(part) :]
                last = part[-1]
                self.next_taken[partition_number(last.topic, last.partition)] = last.offset + 1
            self._bytes -= sum(len(record.value or b"") for record in taken)
            has_room = self._bytes < BUFFER_BYTES
        if taken and has_room and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop ended meanwhile: nobody waits for room
                self._loop.call_soon_threadsafe(self._room.set)
        return taken

    async def seek(self, after: Positions) -> None:
        """Read on after those positions, whatever was read before."""
        consumer = self._subscribed()
        with self._changed:
            self._buffer.clear()
            self._bytes = 0
            self._gaps.clear()
            for number in self.next_read:
                self.next_read[number] = self.next_taken[number] = after.get(number, -1) + 1
        for number, offset in self.next_read.items():
            consumer.seek(self._partition(number), offset)
        self._room.set()

    async def ends(self) -> Positions:
        """The offset that each partition's next record will have."""
        ends = await self._subscribed().end_offsets([self._partition(number) for number in self.next_read])
        return {partition_number(partition.topic, partition.partition): offset for partition, offset in ends.items()}

    def has_more_partitions(self) -> bool:
        """Say whether a topic has got partitions that are not read here."""
        consumer = self._subscribed()
        known = {topic: consumer.partitions_for_topic(topic) or set() for topic in self.partitions}
        return any(len(known[topic]) > count for topic, count in self.partitions.items())

    def break_off(self, reason: str) -> None:
        """Let whoever waits for records know that there will be none."""
        with self._changed:
            self.broken = reason
            self._changed.notify_all()

    def _subscribed(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise LogUnavailableError("not subscribed yet")
        return self._consumer

    def _partition(self, number: int) -> Partition:
        return Partition(*self.layout.topic_and_partition(number))

    async def _take_in(self, records: Sequence[Record]) -> None:
        """Put what the subscriber read into the buffer, and wait until that has room again."""
        for (topic, partition_), run in groupby(records, key=lambda record: (record.topic, record.partition)):
            await self._take_in_run(partition_number(topic, partition_), list(run))
        await self._room.wait()

    async def _take_in_run(self, number: int, run: list[Record]) -> None:
        following = self.next_read[number]
        if run[0].offset > following >= 0 and number not in self._gaps:
            await self._look_at_gap(number, following)
        with self._changed:
            following = self.next_read[number]  # somebody may have sought meanwhile
            if following < 0 or (run[0].offset > following and number not in self._gaps):
                return
            run = [record for record in run if record.offset >= following]
            if not run:
                return
            self._gaps.discard(number)
            self._buffer.append(run)
            self._bytes += sum(len(record.value or b"") for record in run)
            self.next_read[number] = run[-1].offset + 1
            if self._bytes >= BUFFER_BYTES:
                self._room.clear()
            self._changed.notify_all()

    async def _look_at_gap(self, number: int, following: int) -> None:
        """Find out whether Kafka dropped what should have come next; if it is still there, read it."""
        consumer, partition_ = self._subscribed(), self._partition(number)
        first = (await consumer.beginning_offsets([partition_]))[partition_]
        if first > following:
            log.error("log_records_lost", topic=partition_.topic, partition=number, first_lost=following, next=first)
            self._gaps.add(number)
        else:
            consumer.seek(partition_, following)


def require_manual(broker: KafkaBroker) -> None:
    """Raise AssertionError unless no subscriber of the broker can move a position on its own.

    FastStream's default commits before the handler has run, and a policy of the broker does not reach all subscribers.
    """
    for subscriber in cast("list[LogicSubscriber[Any]]", broker.subscribers):
        policy = subscriber.ack_policy
        commits = subscriber._connection_args.get("enable_auto_commit", True)
        if policy is not AckPolicy.MANUAL or commits or subscriber.group_id is not None:
            raise AssertionError(f"{subscriber} has {policy}, expected MANUAL without a group: it would lose records")


async def _as_it_is(records: tuple[Record, ...]) -> KafkaMessage:
    """Spare the parsing of each record's headers: who takes the batch reads them."""
    return KafkaMessage(raw_message=records, body=b"", headers=_text_headers(records[0]), consumer=FAKE_CONSUMER)


def _text_headers(record: Record) -> dict[str, str]:
    return {name: value.decode(errors="replace") for name, value in record.headers}


async def _raw(message: KafkaMessage) -> object:
    return message.raw_message
