"""Runs: the records that one fetch brought of one partition, in columns from the start.

aiokafka's consumer makes an object of eleven fields for each record. That costs more than all other work until the
record lands, and collecting the garbage costs as much again: all of it with the interpreter's lock held, so landing
stands still meanwhile.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, repeat
from operator import attrgetter
from typing import Any

import pyarrow as pa
from aiokafka import AIOKafkaConsumer, TopicPartition

from eventlog.batch import packed, records
from eventlog.kafka.internals import FetchedRecord, Headers, convert_fetches
from eventlog.kafka.topics import partition_number
from eventlog.log import Origin

LINKS = 128
"""How many records of a run keep their headers: OpenTelemetry keeps as many links of a span."""

_AT_ONCE = 64
"""How many of aiokafka's objects exist at a time: few enough for the youngest generation of garbage."""

_REPLAY = Origin.REPLAY.value
_DIGITS = 16
"""Digits of the microseconds up to the year 2286: another program may write later times, which mean nothing."""

_LAST_US = 9_999_999_999_999_999


@dataclass(slots=True)
class RecordRun:
    """Records of one partition in the order of their offsets: a list for each column of a batch, all of one length.

    Bodies are joined, a few at a time, and told apart by their `sizes`. So aiokafka's objects are gone while they are
    still in the processor's caches, which saves a twelfth of the time of reading.
    """

    topic: str
    partition: int
    headers: list[Headers] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    received_us: list[int] = field(default_factory=list)
    origins: list[str] = field(default_factory=list)
    verified: list[bool] = field(default_factory=list)
    rejections: list[str | None] = field(default_factory=list)
    signatures: list[bytes | None] = field(default_factory=list)
    timestamps: list[bytes | None] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def number(self) -> int:
        """The number by which positions know the partition."""
        return partition_number(self.topic, self.partition)

    @property
    def size(self) -> int:
        """Bytes of the bodies."""
        return sum(self.sizes)

    def __len__(self) -> int:
        return len(self.offsets)

    def extend(self, found: Sequence[FetchedRecord]) -> None:
        """Add records that follow.

        A record that another program wrote to the topic has none of holdtime's headers: it counts as an unverified
        replay, received at Kafka's own time.
        """
        self.headers += [record.headers for record in found[: LINKS - len(self.headers)]]
        headers = [dict(record.headers) for record in found]
        self.offsets += [record.offset for record in found]
        self.received_us += [
            _received_us(each.get("received_at"), record.timestamp) for each, record in zip(headers, found, strict=True)
        ]
        self.origins += [text or _REPLAY for text in _texts([each.get("origin") for each in headers])]
        self.verified += [each.get("verified") == b"true" for each in headers]
        self.rejections += _texts([each.get("rejection") for each in headers])
        self.signatures += [each.get("signature") for each in headers]
        self.timestamps += [each.get("timestamp") for each in headers]
        bodies = [record.value or b"" for record in found]
        self.sizes += map(len, bodies)
        self.bodies.append(b"".join(bodies))

    def since(self, offset: int) -> "RecordRun":
        """Return the records from that offset on; where those are all records, as nearly always, this run itself."""
        known = bisect_left(self.offsets, offset)
        if not known:
            return self
        return RecordRun(
            self.topic,
            self.partition,
            self.headers[known:],
            self.offsets[known:],
            self.received_us[known:],
            self.origins[known:],
            self.verified[known:],
            self.rejections[known:],
            self.signatures[known:],
            self.timestamps[known:],
            self.sizes[known:],
            [b"".join(self.bodies)[sum(self.sizes[:known]) :]],
        )


def chunk(runs: Sequence[RecordRun]) -> pa.RecordBatch:
    """Return the records of those runs, one run after the other, as a chunk of a batch."""

    def all_of(name: str) -> Iterator[Any]:
        return chain.from_iterable(map(attrgetter(name), runs))

    def column(name: str, kind: pa.DataType) -> pa.Array:
        return pa.array(list(all_of(name)), kind)

    return records(
        [
            pa.array(list(chain.from_iterable(repeat(run.number, len(run)) for run in runs)), pa.int32()),
            column("offsets", pa.int64()),
            column("received_us", pa.int64()),
            column("origins", pa.string()),
            column("verified", pa.bool_()),
            column("rejections", pa.string()),
            packed(array("i", all_of("sizes")).tobytes(), b"".join(all_of("bodies"))),
            column("signatures", pa.binary()),
            column("timestamps", pa.binary()),
        ]
    )


def yield_columns(consumer: AIOKafkaConsumer) -> None:
    """Make `getmany` of a consumer that has started give a run for each fetch, in place of its records."""
    convert_fetches(consumer, _run)


def _run(of: TopicPartition, found: Iterable[FetchedRecord]) -> Iterator[RecordRun]:
    run, following = RecordRun(*of), iter(found)
    while some := list(islice(following, _AT_ONCE)):
        run.extend(some)
    if run.offsets:
        yield run


def _texts(values: list[bytes | None]) -> list[str | None]:
    """Return the values as texts, None for the empty ones. Most are alike, so each different one is decoded once."""
    known = {value: value.decode(errors="replace") if value else None for value in set(values)}
    return [known[value] for value in values]


def _received_us(received: bytes | None, kafka_ms: int) -> int:
    if received and received.isdigit() and len(received) <= _DIGITS:
        return int(received)
    return min(max(0, kafka_ms * 1000), _LAST_US)
