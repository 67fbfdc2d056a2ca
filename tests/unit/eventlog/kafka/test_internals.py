"""The private names of aiokafka and FastStream, as the installed versions have them."""

import asyncio
import inspect
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.consumer.fetcher import READ_UNCOMMITTED, Fetcher, FetchResult, PartitionRecords
from aiokafka.errors import KafkaTimeoutError
from aiokafka.producer.message_accumulator import MessageAccumulator
from aiokafka.producer.sender import Sender
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from faststream.kafka import KafkaBroker
from faststream.kafka.opentelemetry import provider
from faststream.kafka.publisher.producer import AioKafkaFastProducerImpl
from faststream.kafka.publisher.state import EmptyProducerState, RealProducer
from faststream.middlewares import AckPolicy

from eventlog.kafka.internals import (
    FetchedRecord,
    SummedLength,
    commits_by_itself,
    convert_fetches,
    fail_pending,
    producer_of,
)

PARTITION = TopicPartition("telnyx.events", 3)


class Subscriptions:
    """What a fetch asks of the consumer's assignment, which stands where the fetch begins."""

    active = True
    paused = False
    position = 7

    def state_value(self, _: TopicPartition) -> "Subscriptions":
        return self

    def consumed_to(self, position: int) -> None:
        self.position = position


def a_fetch(assignment: Subscriptions, offsets: range) -> FetchResult:
    """Return a fetch of records with those offsets, as a broker sends it: in one batch."""
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1,
        batch_size=1 << 20,
    )  # fmt: skip
    for offset in offsets:
        builder.append(offset, 1_000 + offset, b"key", b"body %d" % offset, [("origin", b"webhook")])
    records = PartitionRecords(
        PARTITION, MemoryRecords(bytes(builder.build())), [], offsets.start, None, None, True, READ_UNCOMMITTED
    )
    return FetchResult(PARTITION, assignment=assignment, partition_records=records, backoff=0)


def test_a_consumer_keeps_its_fetches_in_one_ordered_dictionary() -> None:
    async def scenario() -> None:
        consumer = AIOKafkaConsumer()
        assert vars(consumer)["_fetcher"] is None, "it has one once it is started"
        names = Fetcher.__init__.__code__.co_names
        assert {"_records", "OrderedDict"} <= set(names)
        await consumer.stop()

    asyncio.run(scenario())


def test_a_fetch_gives_what_its_records_are_converted_to_and_moves_the_position_past_them() -> None:
    consumer: Any = SimpleNamespace(_fetcher=SimpleNamespace(_records=OrderedDict()))
    assignment = Subscriptions()

    def convert(partition: TopicPartition, records: Iterable[FetchedRecord]) -> Iterator[object]:
        yield partition, [(each.offset, each.timestamp, each.value, list(each.headers)) for each in records]

    convert_fetches(consumer, convert)
    fetches = consumer._fetcher._records
    assert isinstance(fetches, OrderedDict)
    fetches[PARTITION] = a_fetch(assignment, range(7, 10))
    expected = [(offset, 1_000 + offset, b"body %d" % offset, [("origin", b"webhook")]) for offset in range(7, 10)]
    assert fetches[PARTITION].getall() == [(PARTITION, expected)]
    assert assignment.position == 10


def test_the_client_of_a_broker_is_found_and_none_where_it_has_not_started() -> None:
    async def scenario() -> None:
        broker = KafkaBroker()
        assert producer_of(broker) is None
        producer: Any = broker.config.producer
        assert isinstance(producer, AioKafkaFastProducerImpl)
        assert isinstance(producer._producer, EmptyProducerState)
        client = AIOKafkaProducer()
        producer._producer = RealProducer(client)
        found = producer_of(broker)
        assert found is not None
        assert found is client
        await client.stop()

    asyncio.run(scenario())


def test_a_producer_has_what_it_takes_to_abandon_it() -> None:
    async def scenario() -> None:
        producer = AIOKafkaProducer()
        assert isinstance(producer._message_accumulator, MessageAccumulator)
        assert isinstance(producer._sender, Sender)
        assert inspect.iscoroutinefunction(producer._sender.close)
        assert not inspect.signature(producer._sender.close).parameters
        assert inspect.iscoroutinefunction(producer.client.close)
        assert list(inspect.signature(producer._message_accumulator.fail_all).parameters) == ["exception"]
        waiting = await producer._message_accumulator.add_message(PARTITION, b"key", b"body", 1)
        fail_pending(producer, KafkaTimeoutError("given up"))
        assert isinstance(waiting.exception(), KafkaTimeoutError)
        await producer.stop()

    asyncio.run(scenario())


def test_a_subscriber_says_whether_it_commits_by_itself() -> None:
    broker = KafkaBroker()
    commits = broker.subscriber("a", group_id="g", ack_policy=AckPolicy.ACK_FIRST)
    manual = broker.subscriber("b", group_id="g", ack_policy=AckPolicy.MANUAL)
    assert [commits_by_itself(each) for each in (commits, manual)] == [True, False]
    assert all("enable_auto_commit" in each._connection_args for each in (commits, manual))


def test_tracing_counts_the_records_of_several_runs() -> None:
    assert len(SummedLength([[1, 2], [3], []])) == 3
    assert list(SummedLength([[1, 2], [3]])) == [[1, 2], [3]]
    assert "len(msg.raw_message)" in inspect.getsource(provider)
