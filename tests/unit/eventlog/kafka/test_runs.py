"""Records of Kafka in columns, and the buffer that holds them until they land."""

import json
from functools import cache

import pytest
from aiokafka import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st

from eventlog.batch import Batch
from eventlog.kafka.buffer import Buffer
from eventlog.kafka.internals import Headers
from eventlog.kafka.records import address, headers
from eventlog.kafka.runs import (
    RecordRun,
    chunk,
)
from eventlog.kafka.topics import (
    EVENTS_PARTITIONS,
    REJECTED_PARTITIONS,
    Layout,
)
from eventlog.log import Origin, Record

LAYOUT = Layout()
EVENT = {"id": "e1", "event_type": "call.enqueued", "payload": {"call_session_id": "s1"}}


def in_kafka(record: Record, *, partition: int = 0, offset: int = 0, with_headers: bool = True) -> RecordRun:
    to = address(record, LAYOUT)
    said = [(name, text.encode()) for name, text in headers(record, to).items()] if with_headers else []
    run = RecordRun(to.topic, partition)
    run.extend([ConsumerRecord(to.topic, partition, offset, 5, 0, to.key, record.body, None, 0, 0, said)])
    return run


def batch(runs: list[RecordRun]) -> Batch:
    return Batch.joined([chunk(runs)])


def test_records_come_back_as_they_were() -> None:
    records = [
        Record(json.dumps({"data": EVENT}).encode(), 1_700_000_000_000_001, Origin.RECONCILER, verified=False),
        Record(b"\xff", 2, Origin.WEBHOOK, verified=True, rejection="stale"),
    ]
    found = batch([in_kafka(record, partition=3, offset=9) for record in records])
    assert found.partitions == [3 + EVENTS_PARTITIONS, 3 + REJECTED_PARTITIONS]
    assert found.offsets == [9, 9]
    columns = (found.bodies, found.received_us, found.origins, found.verified, found.rejections)
    assert [Record(*row[:2], Origin(row[2]), *row[3:]) for row in zip(*columns, strict=True)] == records


def test_what_another_program_put_into_the_topic_is_an_unverified_replay_of_kafkas_time() -> None:
    found = batch([in_kafka(Record(json.dumps({"data": EVENT}).encode(), 1), with_headers=False)])
    assert (found.origins, found.verified, found.received_us) == (["replay"], [False], [5_000])


@pytest.mark.parametrize("received", [b"9" * 30, b"-5", b"\xff", b"", None, "٣".encode()])
@pytest.mark.parametrize("told_ms", [-1, 7, 1 << 62])
def test_a_time_that_cannot_be_is_kafkas_and_else_one_that_can(received: bytes | None, told_ms: int) -> None:
    said: Headers = [("received_at", received), ("origin", None), ("verified", None), ("rejection", None)]
    record = ConsumerRecord("telnyx.events", 0, 0, told_ms, 0, None, b"{}", None, 0, 0, said)
    run = RecordRun("telnyx.events", 0)
    run.extend([record])
    found = batch([run])
    assert found.received_us == [{-1: 0, 7: 7_000}.get(told_ms, 9_999_999_999_999_999)]
    assert (found.origins, found.verified, found.rejections) == (["replay"], [False], [None])


def a_run(first: int, following: int, partition: int = 0) -> RecordRun:
    """Of the offsets from `first` up to `following`, each with itself as its body and as when it was received."""
    run = RecordRun("telnyx.events", partition)
    run.extend([a_record(partition, at) for at in range(first, following)])
    return run


@cache
def a_record(partition: int, at: int) -> ConsumerRecord:
    said = [("received_at", b"%d" % at)]
    return ConsumerRecord("telnyx.events", partition, at, 0, 0, None, b"%d" % at, None, 0, 0, said)


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 15))
def test_what_follows_an_offset_is_all_of_a_run_that_is_not_before_it(first: int, length: int, offset: int) -> None:
    run = a_run(first, first + length).since(offset)
    expected = [at for at in range(first, first + length) if at >= offset]
    found = batch([run])
    assert found.offsets == found.received_us == expected
    assert found.bodies == [b"%d" % at for at in expected]
    assert run.size == sum(map(len, found.bodies))
    assert len(run.headers) == len(run) == len(found)


@given(st.lists(st.integers(1, 3_000), max_size=4), st.integers(1, 5_000))
def test_a_buffer_gives_all_that_it_kept_in_turn_and_has_its_room_again(lengths: list[int], limit: int) -> None:
    woken: list[bool] = []
    buffer = Buffer(lambda: woken.append(True))
    buffer.restart({EVENTS_PARTITIONS: 0})
    end = 0
    for length in lengths:
        buffer.keep([a_run(end, end + length)], is_behind=False)
        end += length
    found: list[int] = []
    while len(taken := buffer.take(limit, wait_s=0)):
        assert len(taken) == min(limit, end - len(found)), "a batch was smaller than it had to be"
        found += taken.offsets
        assert buffer.has_reached({EVENTS_PARTITIONS: len(found)})
    assert found == list(range(end))
    assert buffer.is_positioned_after({EVENTS_PARTITIONS: end - 1})
    assert buffer.held_bytes == 0
    assert bool(woken) == bool(end)


def test_what_a_buffer_held_is_forgotten_when_something_else_comes_next() -> None:
    buffer = Buffer(lambda: None)
    buffer.keep([a_run(0, 3_000)], is_behind=True)
    buffer.restart({EVENTS_PARTITIONS: 7})
    assert buffer.held_bytes == 0
    assert not len(buffer.take(10, wait_s=0))
    buffer.keep([a_run(7, 9)], is_behind=False)
    assert buffer.take(10, wait_s=0).offsets == [7, 8]
