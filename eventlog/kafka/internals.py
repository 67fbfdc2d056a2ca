"""The private names of aiokafka and FastStream that the log depends on: no other module touches one.

pyproject.toml bounds both libraries from above, and tests/unit/eventlog/kafka/test_internals.py checks every name here
against the installed versions. An upgrade that moves one fails there, before it loses a record.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from typing import Any, Protocol, cast

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker
from faststream.kafka.subscriber.usecase import LogicSubscriber

Headers = Sequence[tuple[str, bytes | None]]


class FetchedRecord(Protocol):
    """A record as aiokafka's parser finds it in a fetch."""

    offset: int
    timestamp: int
    """Unix time in milliseconds, as Kafka has it."""
    value: bytes | None
    headers: Headers


Convert = Callable[[TopicPartition, Iterable[FetchedRecord]], Iterator[object]]
"""Turns the records of one fetch of one partition into what `getmany` gives in their place."""


def convert_fetches(consumer: AIOKafkaConsumer, convert: Convert) -> None:
    """Make `getmany` of a started consumer give what `convert` yields, in place of a ConsumerRecord for each record.

    aiokafka has no setting for this. The consumer fetches again what it has fetched and not given out.
    """
    consumer._fetcher._records = _ConvertedFetches(convert)


class _ConvertedFetches(OrderedDict[Any, Any]):
    """What a consumer has fetched and not given out, by partition; each fetch is converted as it comes in."""

    def __init__(self, convert: Convert) -> None:
        super().__init__()
        self._convert = convert

    def __setitem__(self, partition: Any, result: Any) -> None:
        if isinstance(result, FetchResult):
            records = result._partition_records
            records._consumer_record = lambda _, record: record
            records._records_iterator = self._convert(records._tp, records._records_iterator)
        super().__setitem__(partition, result)


def producer_of(broker: KafkaBroker) -> AIOKafkaProducer | None:
    """Return the client that the broker publishes with; None where it has none. FastStream forgets it when it stops."""
    state = cast("Any", broker.config.producer)._producer
    return state.producer if state else None


def fail_pending(producer: AIOKafkaProducer, error: KafkaError) -> None:
    """Fail every record that the producer has not delivered, and every later one."""
    producer._message_accumulator.fail_all(error)


async def abandon(producer: AIOKafkaProducer, error: KafkaError) -> None:
    """Fail what the producer has not delivered, and close it without waiting for the cluster."""
    fail_pending(producer, error)
    await producer._sender.close()
    await producer.client.close()


def commits_by_itself(subscriber: LogicSubscriber[Any]) -> bool:
    """Say whether the subscriber's consumer commits positions without being asked."""
    return bool(subscriber._connection_args.get("enable_auto_commit", True))


class SummedLength(tuple[Sized, ...]):
    """Several sequences, whose length is that of all of them together.

    FastStream's tracing takes the length of what a subscriber got for the number of records. What ours gets is runs.
    """

    __slots__ = ()

    def __len__(self) -> int:
        return sum(map(len, self))
