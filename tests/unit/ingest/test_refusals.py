"""Deliveries that no key of ours signed: all are counted, few lines tell of them, and those tell nothing of them."""

import asyncio

import pytest
from structlog.testing import capture_logs

from ingest import refusals
from ingest.refusals import EVERY_S, Refusals
from tests.support.deliveries import (
    EVENT,
    KEY,
    NOW_S,
    NOW_US,
    OTHER_KEY,
    a_receiver,
    signature,
    signed,
)
from tests.support.waiting import until_async

OLD_S = NOW_S - 3_600


def test_each_kind_of_delivery_is_counted_for_what_it_is() -> None:
    receiver = a_receiver()
    counts = receiver.refusals

    def deliver(*, at: int = NOW_S, ours: bool = True) -> int:
        return receiver.deliver(EVENT, headers=signed(EVENT, at=at, key=KEY if ours else OTHER_KEY)).status

    assert [deliver(ours=False), deliver(ours=False), deliver(ours=False, at=OLD_S)] == [401] * 3
    assert (counts.refused, counts.timely, counts.lately, counts.authentic) == (3, 2, 2, 0)
    assert receiver.deliver(EVENT, headers=[]).status == 400  # no signature at all is nobody's other key
    assert deliver(at=OLD_S) == 401, "an old one proves nothing: whoever caught it can send it again"
    assert (counts.authentic, counts.accepted, counts.lately, counts.refused) == (0, 0, 2, 3)
    assert [deliver(), deliver(ours=False)] == [200, 401]
    assert counts.status() == {
        "since": "2026-01-01T10:00:00+00:00",
        "accepted": 1,
        "last_accepted_at": "2026-01-01T10:00:00+00:00",
        "authentic": 1,
        "refused": 4,
        "last_refused_at": "2026-01-01T10:00:00+00:00",
        "refused_timely": 3,
        "refused_since_authentic": 1,
    }


def test_what_the_log_does_not_take_is_authentic_and_not_accepted() -> None:
    receiver = a_receiver()
    receiver.log.fails = True
    assert receiver.deliver(EVENT, headers=signed(EVENT)).status == 503
    assert (receiver.refusals.authentic, receiver.refusals.accepted) == (1, 0)


def test_there_is_a_line_at_once_and_then_one_a_minute_with_the_count_since() -> None:
    passed_s = 0.0
    counts = Refusals(lambda: NOW_US, elapsed=lambda: passed_s)

    async def flood() -> None:
        nonlocal passed_s
        for _ in range(384):
            counts.note_refused(NOW_US, timely=True)
        assert [line["count"] for line in lines] == [1]
        passed_s = EVERY_S - 1
        counts.note_refused(NOW_US, timely=True)
        assert len(lines) == 1
        passed_s = EVERY_S
        counts.note_refused(NOW_US, timely=True)
        assert [(line["count"], line["refused"]) for line in lines] == [(1, 1), (385, 386)]
        counts.note_refused(NOW_US, timely=True)
        counts.report()  # as the end of the process does
        counts.report()

    with capture_logs() as lines:
        asyncio.run(flood())
    assert [line["count"] for line in lines] == [1, 385, 1]
    assert {line["event"] for line in lines} == {"deliveries_refused"}
    assert all("TELNYX_PUBLIC_KEY" in line["reason"] and line["log_level"] == "warning" for line in lines)


def test_what_was_not_told_is_told_although_nothing_comes_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "EVERY_S", 0.05)
    counts = Refusals(lambda: NOW_US)

    async def flood() -> None:
        for _ in range(12):
            counts.note_refused(NOW_US, timely=False)
        await until_async(lambda: len(lines) > 1, lambda: lines)
        await asyncio.sleep(0.1)  # and nothing more is told

    with capture_logs() as lines:
        asyncio.run(flood())
    assert [line["count"] for line in lines] == [1, 11]


def test_nothing_of_a_delivery_is_in_a_line() -> None:
    receiver = a_receiver()
    body = b'{"data":{"payload":{"from":"+15550142"}}} \x1b[31m'
    with capture_logs() as lines:
        receiver.deliver(body, headers=signed(body, key=OTHER_KEY))
    (line,) = lines
    assert "15550142" not in str(line)
    assert "\\x1b" not in str(line)
    assert signature(body, key=OTHER_KEY).decode() not in str(line)
    assert receiver.log.records == []
