"""Logs for tests: records of one session, Kafka logs on topics of their own, and all that a log holds."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Protocol
from uuid import uuid4

from eventlog.batch import Batch, Positions
from eventlog.kafka import address as kafka_address
from eventlog.kafka.connection import Connection
from eventlog.kafka.log import KafkaLog
from eventlog.kafka.topics import Layout
from eventlog.log import (
    Appender,
    LogReader,
    Record,
)


def a_connection(servers: str, **layout: int) -> Connection:
    """A connection to topics that nobody else has."""
    return Connection(kafka_address.servers(servers), layout=Layout(prefix=f"{uuid4().hex}.", **layout))


@contextlib.asynccontextmanager
async def opened(connection: Connection) -> AsyncIterator[KafkaLog]:
    """A log on Kafka, closed at the end."""
    log = KafkaLog(connection)
    await log.start()
    try:
        yield log
    finally:
        await log.close()


class Log(Appender, LogReader, Protocol):
    """Both sides of a log."""


def an_event(number: int, *, session: str = "s", size: int = 0) -> Record:
    """Return a record; a log with partitions keeps those of one session in one."""
    payload = {"more": "x" * size, "call_session_id": session}
    told = {"data": {"id": str(number), "event_type": "call.enqueued", "payload": payload}}
    return Record(json.dumps(told, separators=(",", ":")).encode(), received_us=1_000 + number)


async def read_all(log: Log, after: Positions | None = None, *, limit: int = 1000) -> list[Batch]:
    """Read batch after batch to the end, the way a processor does."""
    positions, batches = dict(after or {}), []
    while len(batch := await asyncio.to_thread(log.read, dict(positions), limit)):
        batches.append(batch)
        positions.update(zip(batch.partitions, batch.offsets, strict=True))
    return batches


async def bodies(log: Log, after: Positions | None = None, *, limit: int = 1000) -> list[bytes]:
    """Return every body that follows `after`."""
    return [body for batch in await read_all(log, after, limit=limit) for body in batch.bodies]
