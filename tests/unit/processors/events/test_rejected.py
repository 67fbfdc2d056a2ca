"""Records that are no event: each is kept alone, with its bytes and the reason, and its batch lands without it."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from tests.support.builders import (
    LATER,
    NOON,
    Warehouse,
    a_batch,
    a_call,
    opened_warehouse,
)

DEEP = 200_000
GOOD = a_call("bob").queued(at=NOON).events[0].body()
Damage = Callable[[bytes], bytes]


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    with opened_warehouse() as opened:
        yield opened


def swapped(old: bytes, new: bytes) -> Damage:
    def damage(body: bytes) -> bytes:
        assert old in body
        return body.replace(old, new)

    return damage


REJECTED: dict[str, tuple[str, Damage]] = {
    "bytes that are not UTF-8": ("not_utf8", swapped(b"support", b"\xff\xfe")),
    "a surrogate in UTF-8": ("not_utf8", swapped(b"support", b"\xed\xa0\x80")),
    "nothing": ("not_json", lambda _: b""),
    "text": ("not_json", lambda _: b"ConferenceSid=1&SequenceNumber=2"),
    "half a document": ("not_json", lambda body: body[:-9]),
    "two documents": ("not_json", lambda body: body + body),
    "a NUL byte": ("not_json", swapped(b"support", b"sup\0port")),
    "a lone surrogate": ("not_json", swapped(b"support", rb"\ud800")),
    "brackets that never close": ("not_json", lambda _: b"[" * DEEP),
    "a number": ("no_event_id", lambda _: b"17"),
    "null": ("no_event_id", lambda _: b"null"),
    "a list": ("no_event_id", lambda _: b"[1,2]"),
    "an empty object": ("no_event_id", lambda _: b"{}"),
    "an envelope around nothing": ("no_event_id", lambda _: b'{"data":null,"meta":{"attempt":1}}'),
    "an envelope around a list": ("no_event_id", lambda _: b'{"data":[1]}'),
    "deep lists": ("no_event_id", lambda _: b"[" * DEEP + b"]" * DEEP),
    "deep objects": ("no_event_id", lambda _: b'{"data":' * DEEP + b"1" + b"}" * DEEP),
    "no id": ("no_event_id", swapped(b'"id":"bob-00",', b"")),
    "an empty id": ("no_event_id", swapped(b'"bob-00"', b'""')),
    "an id that is null": ("no_event_id", swapped(b'"bob-00"', b"null")),
    "no type": ("no_event_type", swapped(b'"event_type":"call.enqueued",', b"")),
    "an empty type": ("no_event_type", swapped(b'"call.enqueued"', b'""')),
}

KEPT: dict[str, Damage] = {
    "NaN": swapped(b'"current_position":1', b'"current_position":NaN'),
    "a number beyond all": swapped(b'"current_position":1', b'"current_position":1e999'),
    "a large integer": swapped(b'"current_position":1', b'"current_position":' + b"9" * 400),
    "a text of a mebibyte": swapped(b'"client_state":null', b'"client_state":"' + b"x" * (1 << 20) + b'"'),
    "deep lists in the payload": swapped(b'"client_state":null', b'"client_state":' + b"[" * DEEP + b"]" * DEEP),
    "an escaped NUL": swapped(b'"client_state":null', rb'"client_state":"a\u0000b"'),
    "a pair of surrogates": swapped(b'"client_state":null', rb'"client_state":"\ud83d\ude00"'),
    "a field twice": swapped(b'"client_state":null', b'"client_state":null,"client_state":"x"'),
    "an object for a text": swapped(b'"call_session_id":"session-of-bob"', b'"call_session_id":{"a":[1]}'),
    "white space around": lambda body: b"\n\t " + body + b"\r\n",
}


@pytest.mark.parametrize("name", REJECTED)
def test_what_is_no_event_is_kept_with_its_reason_and_its_batch_lands(warehouse: Warehouse, name: str) -> None:
    reason, damage = REJECTED[name]
    bad = damage(GOOD)
    first, second = [event.body() for event in a_call("ann").queued(at=NOON).dequeued("timeout", after=5)]
    landed = warehouse.land(first, bad, second)
    assert (landed.records, landed.events, landed.rejected, landed.duplicates) == (3, 2, 1, 0)
    assert warehouse.only("queue_visits")["outcome"] == "timed_out"
    row = warehouse.only("rejected")
    assert row == {
        "reason": reason,
        "received_at": NOON,
        "stored_at": LATER,
        "origin": "webhook",
        "verified": True,
        "body": bad,
        "log_partition": 0,
        "log_offset": 2,
    }
    assert warehouse.positions() == {0: 3}


@pytest.mark.parametrize("name", KEPT)
def test_what_is_odd_but_an_event_lands_as_it_came(warehouse: Warehouse, name: str) -> None:
    odd = KEPT[name](GOOD)
    landed = warehouse.land(odd)
    assert (landed.events, landed.rejected) == (1, 0)
    assert warehouse.only("events")["body"].encode() == odd
    assert warehouse.only("queue_visits")["queue"] == "support"


def test_what_came_late_by_its_clock_is_kept_with_the_reason_that_ingest_gave(warehouse: Warehouse) -> None:
    warehouse.landing.land(a_batch([GOOD], rejections=["stale"]), LATER)
    assert (warehouse.only("rejected")["reason"], warehouse.only("rejected")["body"]) == ("stale", GOOD)
    assert warehouse.rows("events") == []
    landed = warehouse.landing.land(a_batch([GOOD], first_offset=2), LATER)
    assert landed.events == 1, "what was rejected must not stand in the way of what is not"


def test_a_batch_of_nothing_but_rejects_lands(warehouse: Warehouse) -> None:
    landed = warehouse.land(b"a", b"b", b"c")
    assert (landed.rejected, landed.facts) == (3, {})
    assert [row["log_offset"] for row in warehouse.dicts("rejected")] == [1, 2, 3]


def test_a_batch_that_has_landed_is_not_landed_again(warehouse: Warehouse) -> None:
    batch = a_batch([GOOD, b"not an event"])
    first = warehouse.landing.land(batch, LATER)
    before = {table: warehouse.rows(table) for table in ("events", "rejected", "queue_visits", "log_positions")}
    again = warehouse.landing.land(batch, LATER + timedelta(hours=1))
    assert (first.events, first.rejected, again.records, again.events, again.rejected) == (1, 1, 0, 0, 0)
    assert {table: warehouse.rows(table) for table in before} == before


def test_partitions_have_positions_of_their_own(warehouse: Warehouse) -> None:
    enqueued, dequeued = [event.body() for event in a_call("ann").queued(at=NOON).dequeued("timeout", after=5)]
    warehouse.landing.land(a_batch([enqueued], partition=3, first_offset=0), LATER)
    warehouse.landing.land(a_batch([dequeued], partition=7, first_offset=0), LATER)
    warehouse.landing.land(a_batch([GOOD], partition=3, first_offset=9), LATER)
    assert warehouse.positions() == {3: 9, 7: 0}
    assert [visit["outcome"] for visit in warehouse.dicts("queue_visits")] == ["timed_out", "waiting"]
