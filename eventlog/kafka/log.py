"""The event log on Kafka: a writing and a reading side, each connected only when it is used."""

import asyncio
from pathlib import Path

from eventlog.batch import Batch, Positions
from eventlog.kafka.appender import DEADLINE_S, KafkaAppender
from eventlog.kafka.connection import Connection
from eventlog.kafka.reader import KafkaReader
from eventlog.kafka.topics import EVENTS_PARTITIONS
from eventlog.log import LogUnavailableError, Record


class KafkaLog:
    """A Log over the cluster's topics, which many processes may write and read at a time.

    To write, `await start()` on the event loop that will append. To read, from any thread, nothing is needed.
    `await close()` at the end.
    """

    FIRST_OFFSET = KafkaReader.FIRST_OFFSET

    def __init__(self, connection: Connection, *, deadline_s: float = DEADLINE_S) -> None:
        self._appender = KafkaAppender(connection, deadline_s=deadline_s)
        self._reader = KafkaReader(connection)
        self._started = False

    async def start(self) -> None:
        """Begin to connect for writing; raise UnusableTopicError where the topics lose records."""
        await self._appender.start()
        self._started = True

    async def close(self) -> None:
        """Let go of the cluster."""
        if self._started:
            await self._appender.close()
            self._started = False
        await asyncio.to_thread(self._reader.close)

    @property
    def unavailable(self) -> str | None:
        """Why the log cannot take records now, or None."""
        return self._appender.unavailable

    async def append(self, record: Record) -> None:
        """Return once the record is durable; raise LogUnavailableError."""
        if not self._started:
            raise LogUnavailableError("the log on Kafka is not open for writing")
        await self._appender.append(record)

    def exists(self) -> bool:
        """Return False: starting may make topics."""
        return False

    def owns(self, partition: int) -> bool:
        """Say whether a position of that partition is of one of the cluster's topics."""
        return partition >= EVENTS_PARTITIONS

    def resumable(self) -> None:
        """Return None: the cluster gives positions."""

    def spooled(self) -> int:
        """Return 0: this log has no spool."""
        return 0

    def set_aside(self) -> list[Path]:
        """Return nothing: the log's files are the cluster's."""
        return []

    def last_received_at(self) -> None:
        """Return None: other processes may take deliveries as well."""

    def confirm_writable(self, began: float) -> None:
        """Note that the cluster took a write that began then, by the monotonic clock, whoever wrote."""
        self._appender.confirm_writable(began)

    def read(self, after: Positions, limit: int) -> Batch:
        """Return up to `limit` records that follow `after`, at least one if any do; raise LogUnavailableError."""
        return self._reader.read(after, limit)

    def end(self) -> Positions:
        """Return the last offset of every partition that ever held records; raise LogUnavailableError."""
        return self._reader.end()

    def forget(self, landed: Positions, before_us: int) -> int:
        """Drop nothing: the topics' own settings say how long Kafka keeps records."""
        return self._reader.forget(landed, before_us)
