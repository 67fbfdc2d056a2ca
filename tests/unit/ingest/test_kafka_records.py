"""Where a record goes in Kafka, and how it comes back."""

import json
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st

from ingest.kafka_records import address, batch, headers
from ingest.kafka_topics import EVENTS_PARTITIONS, REJECTED_PARTITIONS, Layout, partition_number
from ingest.log import Origin, Record

LAYOUT = Layout()
EVENT = {"id": "e1", "event_type": "call.enqueued", "payload": {"call_session_id": "s1"}}


def addressed(document: object) -> tuple[str, bytes | None, str, str]:
    to = address(Record(json.dumps(document).encode(), 1), LAYOUT)
    return to.topic, to.key, to.event_id, to.event_type


@pytest.mark.parametrize(
    "document",
    [
        {"data": EVENT},
        EVENT,
        {"metadata": {"event": EVENT}},
        {"webhook": EVENT},
        {"data": EVENT, "meta": {"attempt": 2}},
    ],
)
def test_an_event_goes_by_its_session_whatever_envelope_it_is_in(document: object) -> None:
    assert addressed(document) == ("telnyx.events", b"s1", "e1", "call.enqueued")


@pytest.mark.parametrize(
    ("payload", "key"),
    [
        ({"conference_id": "c1", "call_session_id": "s1"}, b"c1"),
        ({"conference_id": "", "call_session_id": "s1"}, b"s1"),
        ({"conference_id": 7}, b"e1"),
        ({}, b"e1"),
        (None, b"e1"),
        ("text", b"e1"),
    ],
)
def test_a_conference_comes_before_a_session_and_what_has_neither_goes_by_its_own_id(payload: Any, key: bytes) -> None:
    assert addressed({"data": {**EVENT, "payload": payload}})[1] == key


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[1]", b"null", b'{"data":3}', b'{"data":{"id":"","event_type":"x"}}', b"[" * 100_000]
)
def test_what_nobody_can_read_goes_apart(body: bytes) -> None:
    assert address(Record(body, 1), LAYOUT).topic == "telnyx.events.rejected"


def test_what_is_kept_as_rejected_goes_apart_with_its_reason() -> None:
    record = Record(json.dumps({"data": EVENT}).encode(), 1, rejection="stale")
    to = address(record, LAYOUT)
    assert to.topic == "telnyx.events.rejected"
    assert headers(record, to)["rejection"] == "stale"


def test_an_id_that_is_no_id_becomes_neither_a_header_nor_a_long_key() -> None:
    _, key, event_id, event_type = addressed(
        {"data": {"id": "x" * 1_000_000, "event_type": "y" * 1_000, "payload": {"call_session_id": "z" * 1_000}}}
    )
    assert (event_id, event_type) == ("", "")
    assert key is not None
    assert len(key) == 64


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda of: st.lists(of) | st.dictionaries(st.text(), of)
    )
)
def test_no_body_is_too_strange_to_be_addressed(document: object) -> None:
    assert address(Record(json.dumps(document).encode(), 1), LAYOUT).topic.startswith("telnyx.events")


@pytest.mark.parametrize("number", [EVENTS_PARTITIONS, EVENTS_PARTITIONS + 11, REJECTED_PARTITIONS])
def test_a_partitions_number_stands_for_it_alone(number: int) -> None:
    assert partition_number(*Layout(prefix="mine.").topic_and_partition(number)) == number


def in_kafka(record: Record, *, partition: int = 0, offset: int = 0, with_headers: bool = True) -> ConsumerRecord:
    to = address(record, LAYOUT)
    said = [(name, text.encode()) for name, text in headers(record, to).items()] if with_headers else []
    return ConsumerRecord(to.topic, partition, offset, 5, 0, to.key, record.body, None, 0, 0, said)


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
    headers = [("received_at", received), ("origin", None), ("verified", None), ("rejection", None)]
    record = ConsumerRecord("telnyx.events", 0, 0, told_ms, 0, None, b"{}", None, 0, 0, headers)
    found = batch([record])
    assert found.received_us == [{-1: 0, 7: 7_000}.get(told_ms, 9_999_999_999_999_999)]
    assert (found.origins, found.verified, found.rejections) == (["replay"], [False], [None])
