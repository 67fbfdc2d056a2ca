"""Records are kept compressed, and read whatever they were compressed with."""

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from eventlog.kafka.connection import Connection
from tests.support.logs import a_connection, an_event, bodies, opened

pytestmark = pytest.mark.kafka

ZSTD = 4
"""As Kafka numbers codecs."""


async def codec(connection: Connection) -> int:
    """What the first batch of the topic's only partition is compressed with; aiokafka tells it in its fetcher alone."""
    consumer: Any = AIOKafkaConsumer(bootstrap_servers=list(connection.servers), auto_offset_reset="earliest")
    partition = TopicPartition(connection.layout.events, 0)
    await consumer.start()
    try:
        consumer.assign([partition])
        async with asyncio.timeout(30):
            while partition not in (fetched := consumer._fetcher._records):  # noqa: ASYNC110 - it has no event for it
                await asyncio.sleep(0.05)
        return int(fetched[partition]._partition_records._records.next_batch().compression_type)
    finally:
        await consumer.stop()


def test_what_is_appended_is_compressed_in_kafka(kafka: str) -> None:
    connection = a_connection(kafka, partitions=1)

    async def scenario() -> None:
        async with opened(connection) as log:
            await log.append(an_event(1))
            assert await bodies(log) == [an_event(1).body]
        assert await codec(connection) == ZSTD

    asyncio.run(scenario())


def test_what_others_put_into_the_topic_is_read_whatever_it_was_compressed_with(kafka: str) -> None:
    connection = a_connection(kafka, partitions=1)
    codecs = [None, "gzip", "snappy", "lz4", "zstd"]

    async def scenario() -> None:
        async with opened(connection) as log:
            for number, name in enumerate(codecs):
                producer = AIOKafkaProducer(bootstrap_servers=list(connection.servers), compression_type=name)
                await producer.start()
                await producer.send_and_wait(connection.layout.events, an_event(number).body)
                await producer.stop()
            found = await bodies(log)
        assert found == [an_event(number).body for number in range(len(codecs))]

    asyncio.run(scenario())
