"""A spool beside the log on Kafka: it keeps deliveries while the cluster is away, and sends them on later."""

import asyncio
import contextlib
from collections import defaultdict
from pathlib import Path

import structlog

from eventlog.batch import Batch, Positions
from eventlog.kafka.connection import Connection
from eventlog.kafka.log import KafkaLog
from eventlog.kafka.records import address
from eventlog.log import (
    DAMAGED,
    LogUnavailableError,
    Record,
    records_of,
)
from eventlog.sqlite.log import SqliteLog

MAX_RECORDS = 5_000_000
"""How many records the spool holds: some hours of deliveries."""

DIRECT_S = 0.7
"""How long the cluster has to confirm a record, so that the spool can still take it within the log's 1.5 s."""

_DRAIN_RECORDS = 1_000
_PAUSE_S = 0.5
_PIECE_BYTES = 1 << 20

log = structlog.get_logger("spool")


class SpooledLog:
    """A log on Kafka that takes records while the cluster is away.

    As long as a record waits in the spool, all new ones go through it, so the records of one entity keep their order.
    A record that was on its way when the cluster or this process failed is sent again: it lands once.
    """

    FIRST_OFFSET = KafkaLog.FIRST_OFFSET

    def __init__(
        self, connection: Connection, spool: SqliteLog, *, max_records: int = MAX_RECORDS, direct_s: float = DIRECT_S
    ) -> None:
        """Begin with the cluster: what it does not confirm within `direct_s` goes to the spool."""
        self._layout = connection.layout
        self._log = KafkaLog(connection, deadline_s=direct_s)
        self._spool = spool
        self._max_records = max_records
        self._drained: Positions = {}
        self.waiting = 0
        """How many records are in the spool."""
        self._came = asyncio.Event()
        self._draining: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the spool, begin to connect and to drain; raise UnusableLogError, OSError, UnusableTopicError."""
        await self._spool.start()
        self.waiting = await asyncio.to_thread(_count_waiting, self._spool)
        await self._log.start()
        self._draining = asyncio.create_task(self._drain())

    async def close(self) -> None:
        """Stop draining; the next process drains the records that wait in the spool."""
        if self._draining is not None:
            self._draining.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._draining
        await self._log.close()
        await self._spool.close()

    @property
    def unavailable(self) -> str | None:
        """Why neither cluster nor spool can take records now, or None."""
        if not (self.waiting or self._log.unavailable):
            return None
        return self._full if self.waiting >= self._max_records else self._spool.unavailable

    @property
    def _full(self) -> str:
        return f"the spool is full: {self._max_records} records wait for the Kafka cluster"

    async def append(self, record: Record) -> None:
        """Return once the record is durable, here or in the cluster; raise LogUnavailableError."""
        if not self.waiting:
            with contextlib.suppress(LogUnavailableError):
                return await self._log.append(record)
        if self.waiting >= self._max_records:
            raise LogUnavailableError(self._full)
        self.waiting += 1
        try:
            await self._spool.append(record)
        except LogUnavailableError:
            self.waiting -= 1
            raise
        finally:  # a record whose append failed may be there all the same
            self._came.set()
        return None

    def exists(self) -> bool:
        """Return False: starting may make topics and the spool."""
        return False

    def owns(self, partition: int) -> bool:
        """Say whether a position of that partition is of one of the cluster's topics."""
        return self._log.owns(partition)

    def resumable(self) -> None:
        """Return None: the cluster gives positions."""

    def spooled(self) -> int:
        """Return how many records are in the spool."""
        return self.waiting

    def last_received_at(self) -> None:
        """Return None: other processes may take deliveries as well."""

    def set_aside(self) -> list[Path]:
        """Return the damaged files of the spool that were set aside and are still there."""
        return self._spool.set_aside()

    def confirm_writable(self, began: float) -> None:
        """Note that the cluster took a write that began then, by the monotonic clock, whoever wrote."""
        self._log.confirm_writable(began)

    def read(self, after: Positions, limit: int) -> Batch:
        """Return up to `limit` records of the cluster's log that follow `after`; raise LogUnavailableError."""
        return self._log.read(after, limit)

    def end(self) -> Positions:
        """Return the last offset of every partition of the cluster's log; raise LogUnavailableError."""
        return self._log.end()

    def forget(self, landed: Positions, before_us: int) -> int:
        """Drop nothing: the topics' own settings say how long Kafka keeps records."""
        return self._log.forget(landed, before_us)

    async def _drain(self) -> None:
        while True:
            self._came.clear()
            try:
                batch = await asyncio.to_thread(self._spool.read, self._drained, _DRAIN_RECORDS)
                if not len(batch):
                    await self._came.wait()
                    continue
                await self._send(batch)
                reached = batch.reached()
                await asyncio.to_thread(self._spool.forget, reached, 1 << 62)
            except LogUnavailableError as error:
                log.warning("spool_waits", records=self.waiting, reason=str(error))
                await asyncio.sleep(_PAUSE_S)
            else:
                self._drained = reached
                self.waiting = max(0, self.waiting - len(batch))
                log.info("spool_drained", records=len(batch), waiting=self.waiting)

    async def _send(self, batch: Batch) -> None:
        """Send the records of one entity one after the other, and entities side by side."""
        together: dict[bytes | None, list[Record]] = defaultdict(list)
        for record in records_of(batch):
            for each in _pieces_of(record):
                together[address(each, self._layout).key].append(each)

        async def in_turn(records: list[Record]) -> None:
            for record in records:
                await self._log.append(record)

        for outcome in await asyncio.gather(*map(in_turn, together.values()), return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome


def _pieces_of(record: Record) -> list[Record]:
    """Return the record; where it is the rest of damaged ones, in pieces: Kafka may not take it at once."""
    if record.rejection != DAMAGED:
        return [record]
    starts = range(0, max(1, len(record.body)), _PIECE_BYTES)
    return [record._replace(body=record.body[start : start + _PIECE_BYTES]) for start in starts]


def _count_waiting(spool: SqliteLog) -> int:
    """Return how many records an earlier process left in the spool; drained positions are never given again."""
    first = spool.read({}, 1).offsets
    return spool.end()[spool.PARTITION] - first[0] + 1 if first else 0
