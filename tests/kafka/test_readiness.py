"""An ingest that could not append is sent nothing; that the cluster takes writes again it finds out by itself."""

import asyncio
import contextlib
import time
from uuid import uuid4

import pytest

from eventlog.kafka import address as kafka_address
from eventlog.kafka.connection import Connection
from eventlog.kafka.liveness import KafkaLiveness
from eventlog.kafka.log import KafkaLog
from eventlog.kafka.topics import Layout
from eventlog.log import LogUnavailableError
from holdtime.service.heartbeat import keep_beating
from tests.support.logs import an_event
from tests.support.waiting import until_async

pytestmark = pytest.mark.kafka


async def failed_once(log: KafkaLog) -> None:
    """Let it connect, and give up an append at once."""
    await log.start()
    await until_async(lambda: not log.unavailable, lambda: log.unavailable)
    with pytest.raises(LogUnavailableError, match="did not confirm a record within 0 s"):
        await log.append(an_event(1))
    assert log.unavailable


def test_an_ingest_that_is_sent_nothing_is_ready_again_once_it_could_tell_that_it_is_there(kafka: str) -> None:
    connection = Connection(kafka_address.servers(kafka), layout=Layout(partitions=1, prefix=f"{uuid4().hex}."))

    async def scenario() -> None:
        log = KafkaLog(connection, deadline_s=0)
        liveness = KafkaLiveness(connection, on_beat=log.confirm_writable)
        await failed_once(log)
        telling = asyncio.create_task(keep_beating(liveness, log))
        try:
            await until_async(lambda: not log.unavailable, lambda: log.unavailable)
        finally:
            telling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await telling
            await liveness.close()
            await log.close()

    asyncio.run(scenario())


def test_neither_an_older_write_nor_one_for_a_producer_that_is_replaced_proves_anything(
    kafka: str,
) -> None:
    connection = Connection(kafka_address.servers(kafka), layout=Layout(partitions=1, prefix=f"{uuid4().hex}."))

    async def scenario() -> None:
        log = KafkaLog(connection, deadline_s=0)
        before = time.monotonic()
        log.confirm_writable(before)
        assert log.unavailable, "it has not even connected"
        try:
            await failed_once(log)
            log.confirm_writable(before)
            assert log.unavailable
            log._appender._succeeded_at -= 3_600
            with pytest.raises(LogUnavailableError):
                await log.append(an_event(2))
            log.confirm_writable(time.monotonic())
            assert log.unavailable, "the producer that failed is still there"
        finally:
            await log.close()

    asyncio.run(scenario())
