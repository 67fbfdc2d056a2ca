"""The webhook endpoint: each status code, what is stored, and that content never makes a 5xx."""

import asyncio
from base64 import b64decode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlog.log import Origin, Record
from eventlog.signature_headers import SignatureHeaders
from ingest.http.answers import Answer
from ingest.http.bodies import MAX_BODY_BYTES
from ingest.metrics import DeliveryOutcome
from tests.support.deliveries import (
    EVENT,
    KEY,
    NOW_S,
    NOW_US,
    OTHER_KEY,
    a_head,
    a_receiver,
    deliver,
    signature,
    signed,
)


def test_a_signed_delivery_is_stored_as_it_came_and_answered_200() -> None:
    receiver = a_receiver()
    assert receiver.deliver(EVENT, headers=signed(EVENT)).status == 200
    headers = SignatureHeaders(b64decode(signature(EVENT)), b"%d" % NOW_S)
    assert receiver.log.records == [
        Record(EVENT, NOW_US, Origin.WEBHOOK, verified=True, rejection=None, signature_headers=headers)
    ]
    assert receiver.count("accepted") == 1


@pytest.mark.parametrize("body", [b"", b"not json", b"\xff\xfe\x00", b"[1,2]", b"\xef\xbb\xbf{}", b"null"])
def test_an_authentic_body_is_stored_whatever_it_is(body: bytes) -> None:
    receiver = a_receiver()
    assert receiver.deliver(body, headers=signed(body)).status == 200
    assert [record.body for record in receiver.log.records] == [body]


def without(name: bytes) -> list[tuple[bytes, bytes]]:
    return [header for header in signed(EVENT) if header[0] != name]


@pytest.mark.parametrize(
    ("headers", "outcome"),
    [
        ([], "missing"),
        (without(b"telnyx-timestamp"), "missing"),
        (without(b"telnyx-signature-ed25519"), "missing"),
        ([*signed(EVENT), (b"telnyx-signature-ed25519", signature(EVENT))], "malformed"),
        ([*signed(EVENT), (b"telnyx-timestamp", b"%d" % NOW_S)], "malformed"),
        ([*without(b"telnyx-timestamp"), (b"telnyx-timestamp", b"yesterday")], "malformed"),
        ([*without(b"telnyx-signature-ed25519"), (b"telnyx-signature-ed25519", b"%%%")], "malformed"),
    ],
)
def test_missing_or_malformed_headers_are_400(headers: list[tuple[bytes, bytes]], outcome: str) -> None:
    receiver = a_receiver()
    assert receiver.deliver(EVENT, headers=headers).status == 400
    assert receiver.log.records == []
    assert receiver.count(outcome) == 1


def test_a_forgery_is_401_and_never_stored() -> None:
    receiver = a_receiver()
    assert receiver.deliver(EVENT, headers=signed(EVENT, key=OTHER_KEY)).status == 401
    assert receiver.deliver(EVENT + b" ", headers=signed(EVENT)).status == 401
    assert receiver.log.records == []
    assert receiver.count("forged") == 2


@pytest.mark.parametrize("off_s", [-301, 301, -10_000_000])
def test_an_authentic_delivery_with_a_wrong_clock_is_401_but_kept_as_rejected(off_s: int) -> None:
    receiver = a_receiver()
    stale = receiver.deliver(EVENT, headers=signed(EVENT, at=NOW_S + off_s))
    assert stale.status == 401
    assert [(record.body, record.rejection) for record in receiver.log.records] == [(EVENT, "stale")]
    assert receiver.count("stale") == 1


def test_a_forger_cannot_tell_the_reasons_for_401_apart() -> None:
    receiver = a_receiver()
    forged = receiver.deliver(EVENT, headers=signed(EVENT, key=OTHER_KEY))
    assert receiver.deliver(EVENT, headers=signed(EVENT, at=NOW_S - 999)) == forged


def test_a_stale_delivery_that_cannot_be_kept_is_503_so_that_nothing_is_lost() -> None:
    receiver = a_receiver()
    receiver.log.fails = True
    assert receiver.deliver(EVENT, headers=signed(EVENT, at=NOW_S - 999)).status == 503


def test_while_the_log_cannot_take_it_the_answer_is_503_with_retry_after() -> None:
    receiver = a_receiver()
    receiver.log.fails = True
    answered = receiver.deliver(EVENT, headers=signed(EVENT))
    assert answered.status == 503
    assert b"\r\nretry-after: 2\r\n" in answered.kept_alive
    receiver.log.fails = False
    assert receiver.deliver(EVENT, headers=signed(EVENT)).status == 200
    assert (receiver.count("unavailable"), receiver.count("accepted")) == (1, 1)


def test_a_log_that_does_not_answer_in_time_is_503() -> None:
    receiver = a_receiver(keep_deadline_s=0.01)
    receiver.log.hangs = True
    answered = receiver.deliver(EVENT, headers=signed(EVENT))
    assert (answered.status, b"\r\nretry-after: " in answered.kept_alive) == (503, True)


def test_a_body_of_one_mebibyte_is_taken_and_a_declared_byte_more_is_413() -> None:
    receiver = a_receiver()
    limit = b"x" * MAX_BODY_BYTES
    assert receiver.deliver(limit, headers=signed(limit)).status == 200
    over = receiver.deliver(limit + b"y", headers=signed(limit + b"y"))
    assert (over.status, over.closes) == (413, True)
    assert len(receiver.log.records) == 1


@pytest.mark.parametrize(
    "outcome",
    [DeliveryOutcome.TOO_SLOW, DeliveryOutcome.TOO_LARGE, DeliveryOutcome.OVERLOADED, DeliveryOutcome.DISCONNECTED],
)
def test_a_delivery_whose_body_never_became_complete_is_counted_and_holds_no_place(outcome: DeliveryOutcome) -> None:
    receiver = a_receiver(max_in_flight=1)
    for _ in range(3):
        unfinished = receiver.endpoint.admit(a_head(*signed(EVENT), (b"content-length", b"100")))
        assert not isinstance(unfinished, Answer)
        unfinished.cut_off(outcome)
    assert receiver.count(outcome.value) == 3
    assert receiver.deliver(EVENT, headers=signed(EVENT)).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_another_method_is_405_and_the_answer_says_which_to_set(method: str) -> None:
    answered = a_receiver().deliver(EVENT, headers=signed(EVENT), method=method)
    assert (answered.status, answered.closes) == (405, True)
    assert b"\r\nallow: POST\r\n" in answered.closing
    assert b"webhook_url_method" in answered.text


def test_over_the_concurrency_cap_the_answer_is_503_and_room_comes_back() -> None:
    receiver = a_receiver(max_in_flight=2, keep_deadline_s=1.0)
    receiver.log.hangs = True

    async def scenario() -> list[int]:
        sends = [deliver(receiver.endpoint, EVENT, headers=signed(EVENT)) for _ in range(5)]
        crowd = [answered.status for answered in await asyncio.gather(*sends)]
        receiver.log.hangs = False
        return [*crowd, (await deliver(receiver.endpoint, EVENT, headers=signed(EVENT))).status]

    assert asyncio.run(scenario()) == [503] * 5 + [200]
    assert (receiver.count("overloaded"), receiver.count("unavailable")) == (3, 2)
    assert receiver.endpoint.in_flight == 0


def test_complete_bodies_that_nobody_vouched_for_take_bounded_memory_and_room_comes_back() -> None:
    receiver = a_receiver(max_held_bytes=100_000, keep_deadline_s=1.0)
    receiver.log.hangs = True
    body = b"x" * 30_000

    async def scenario() -> list[int]:
        crowd = [deliver(receiver.endpoint, body, headers=signed(body)) for _ in range(5)]
        refused = [answered.status for answered in await asyncio.gather(*crowd)]
        receiver.log.hangs = False
        return [*refused, (await deliver(receiver.endpoint, EVENT, headers=signed(EVENT))).status]

    assert asyncio.run(scenario()) == [503] * 5 + [200]
    assert (receiver.count("unavailable"), receiver.count("overloaded")) == (3, 2)
    assert receiver.endpoint.held_bytes == 0


def test_large_bodies_take_no_room_of_small_ones() -> None:
    receiver = a_receiver(max_held_bytes=30_000, keep_deadline_s=0.1)
    receiver.log.hangs = True
    large = b"x" * 30_000

    async def scenario() -> None:
        bodies = (large, large, EVENT, EVENT)
        await asyncio.gather(*(deliver(receiver.endpoint, body, headers=signed(body)) for body in bodies))

    asyncio.run(scenario())
    assert (receiver.count("unavailable"), receiver.count("overloaded")) == (3, 1)
    assert receiver.endpoint.held_bytes == 0


def test_while_keys_rotate_each_keys_deliveries_are_counted() -> None:
    receiver = a_receiver(OTHER_KEY, KEY)
    for key in (KEY, KEY, OTHER_KEY):
        assert receiver.deliver(EVENT, headers=signed(EVENT, key=key)).status == 200
    counts = [
        receiver.registry.get_sample_value("holdtime_ingest_authentic_by_key_total", {"key": place})
        for place in ("1", "2")
    ]
    assert counts == [1, 2]


TELNYX_HEADERS = st.sampled_from([b"telnyx-timestamp", b"telnyx-signature-ed25519", b"expect"])
VALUES = st.one_of(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=100).map(str.encode),
    st.sampled_from([b"%d" % NOW_S, signature(EVENT, key=OTHER_KEY), b"5", b"1e9", b"\xb2", b"4" * 12, b""]),
)


@given(headers=st.lists(st.tuples(TELNYX_HEADERS, VALUES), max_size=5), body=st.binary(max_size=200))
@settings(deadline=None)
def test_nothing_unsigned_is_ever_stored_or_a_5xx(headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    receiver = a_receiver()
    assert receiver.deliver(body, headers=headers).status in {400, 401, 413}
    assert receiver.log.records == []
