"""An ingest that could not append is sent nothing; that the cluster takes writes again it finds out by itself."""

import asyncio
import contextlib
import time
from functools import partial
from uuid import uuid4

import pytest

from eventlog.kafka import address as kafka_address
from eventlog.kafka.connection import Connection
from eventlog.kafka.liveness import Liveness
from eventlog.kafka.log import KafkaLog
from eventlog.kafka.topics import Layout
from eventlog.log import LogUnavailableError
from holdtime.service import event_log
from holdtime.service.heartbeat import keep_beating
from tests.kafka.test_log import an_event

pytestmark = pytest.mark.kafka


async def failed_once(log: KafkaLog) -> None:
    """Let it connect, and give up an append at once."""
    await log.start()
    async with asyncio.timeout(30):
        while log.unavailable:  # noqa: ASYNC110 - the log has no event for it
            await asyncio.sleep(0.05)
    with pytest.raises(LogUnavailableError, match="did not confirm a record within 0 s"):
        await log.append(an_event(1))
    assert log.unavailable


def test_an_ingest_that_is_sent_nothing_is_ready_again_once_it_could_tell_that_it_is_there(kafka: str) -> None:
    connection = Connection(kafka_address.servers(kafka), layout=Layout(partitions=1, prefix=f"{uuid4().hex}."))

    async def scenario() -> None:
        log = KafkaLog(connection, deadline_s=0)
        liveness = Liveness(connection, on_beat=partial(event_log.proven, log))
        await failed_once(log)
        telling = asyncio.create_task(keep_beating(liveness, log))
        try:
            async with asyncio.timeout(30):
                while log.unavailable:  # noqa: ASYNC110 - the log has no event for it
                    await asyncio.sleep(0.05)
        finally:
            telling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await telling
            await liveness.close()
            await log.close()

    asyncio.run(scenario())


def test_a_write_from_before_an_append_failed_proves_nothing_nor_does_any_for_a_producer_that_is_replaced(
    kafka: str,
) -> None:
    connection = Connection(kafka_address.servers(kafka), layout=Layout(partitions=1, prefix=f"{uuid4().hex}."))

    async def scenario() -> None:
        log = KafkaLog(connection, deadline_s=0)
        before = time.monotonic()
        event_log.proven(log, before)
        assert log.unavailable, "it has not even connected"
        try:
            await failed_once(log)
            event_log.proven(log, before)
            assert log.unavailable
            log._appender._succeeded_at -= 3_600
            with pytest.raises(LogUnavailableError):
                await log.append(an_event(2))
            event_log.proven(log, time.monotonic())
            assert log.unavailable, "the producer that failed is still there"
        finally:
            await log.close()

    asyncio.run(scenario())
