"""Changed facts in their topics, whatever becomes of the producer."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import OutOfOrderSequenceNumber

from eventlog.kafka import address as kafka_address
from eventlog.kafka.connection import Connection
from eventlog.kafka.internals import fail_pending, producer_of
from eventlog.kafka.topics import Layout
from eventlog.log import LogUnavailableError
from processors.outbox.fact_stream import FactStream, topic
from processors.outbox.outbox import Change

pytestmark = pytest.mark.kafka


def test_a_producer_that_failed_for_good_is_replaced_and_what_it_did_not_tell_is_told_again(kafka: str) -> None:
    connection = Connection(kafka_address.servers(kafka), layout=Layout(partitions=1, prefix=f"{uuid4().hex}."))
    first, gone = Change("calls", "leg 1", 1, '{"nth":1}'), Change("calls", "leg 2", None, None)
    second = Change("calls", "leg 1", 2, '{"nth":2}')

    async def scenario() -> None:
        stream = FactStream(connection)
        await stream.start()
        try:
            await asyncio.to_thread(stream.publish, [first])
            broker: Any = stream._broker
            fail_pending(producer_of(broker), OutOfOrderSequenceNumber())
            with pytest.raises(LogUnavailableError, match="OutOfOrderSequenceNumber"):
                await asyncio.to_thread(stream.publish, [second, gone])
            await asyncio.to_thread(stream.publish, [second, gone])
        finally:
            await stream.close()
        consumer = AIOKafkaConsumer(topic(connection, "calls"), bootstrap_servers=kafka, auto_offset_reset="earliest")
        await consumer.start()
        try:
            told = [await asyncio.wait_for(consumer.getone(), 30) for _ in range(3)]
        finally:
            await consumer.stop()
        assert {record.key: record.value for record in told} == {b"leg 1": b'{"nth":2}', b"leg 2": None}
        assert [dict(record.headers)["revision"] for record in told if record.value] == [b"1", b"2"]

    asyncio.run(scenario())
