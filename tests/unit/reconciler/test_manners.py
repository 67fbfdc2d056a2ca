"""Asking politely: the budget, the limits that Telnyx tells, failures, and lists that are not whole."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from telnyx import AsyncTelnyx

from reconciler.api import ATTEMPTS, Api
from reconciler.errors import (
    ForbiddenError,
    QuestionRefusedError,
    UnansweredError,
    UnauthorizedError,
)
from reconciler.pace import Pace
from simulator.api import Manners
from tests.support.reconciling import Center
from tests.support.worlds import a_world

AFTERWARDS = datetime(2026, 3, 2, 18, 20, tzinfo=UTC)


@dataclass
class Time:
    """A clock that only sleeping moves."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def a_pace(time: Time, per_minute: int = 10**9) -> Pace:
    return Pace(per_minute, clock=time, sleep=time.sleep, rng=random.Random(1))


def asked(
    answers: Callable[[int], httpx.Response], ask: Callable[[Api], Awaitable[Any]], *, pace: Pace | None = None
) -> Any:
    """What `ask` gets from a Telnyx that gives these answers, by the number of the request."""
    count = 0

    def respond(_: httpx.Request) -> httpx.Response:
        nonlocal count
        count += 1
        return answers(count)

    async def run() -> Any:
        http = httpx.AsyncClient(transport=httpx.MockTransport(respond))
        client = AsyncTelnyx(api_key="K", base_url="http://telnyx.invalid/v2", max_retries=0, http_client=http)
        async with client:
            return await ask(Api(client, pace or a_pace(Time())))

    return asyncio.run(run())


async def listed(api: Api) -> list[Any]:
    pages = api.pages("queues", lambda number: api.client.queues.with_raw_response.list(page_number=number))
    return [item async for items in pages for item in items]


def a_page(items: int, **meta: Any) -> httpx.Response:
    body: dict[str, Any] = {"data": [{"name": str(number)} for number in range(items)]}
    return httpx.Response(200, json=body | ({"meta": meta} if meta else {}))


def test_no_minute_has_more_requests_than_the_budget_allows() -> None:
    time = Time()
    moments: list[float] = []

    async def ask(api: Api) -> None:
        for _ in range(25):
            await api.one("queues", lambda: api.client.queues.with_raw_response.retrieve("q"))
            moments.append(time.now)

    asked(lambda _: httpx.Response(200, json={"data": {}}), ask, pace=a_pace(time, per_minute=10))
    assert all(later - earlier >= 60 for earlier, later in zip(moments, moments[10:], strict=False))


@pytest.mark.parametrize("header", ["x-ratelimit-reset", "retry-after"])
def test_a_429_is_asked_again_after_the_reset_that_it_names(header: str) -> None:
    time = Time()
    limited = httpx.Response(429, headers={header: "17"}, json={"errors": []})
    found = asked(
        lambda nth: limited if nth <= 3 else a_page(1, page_number=1, page_size=20, total_pages=1, total_results=1),
        listed,
        pace=a_pace(time),
    )
    assert len(found) == 1
    assert [17 <= wait < 18 for wait in time.slept] == [True] * 3


def test_where_nothing_is_left_the_next_request_waits_for_the_reset_without_being_told_off() -> None:
    time = Time()
    spent = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "9"}

    def answer(nth: int) -> httpx.Response:
        page = a_page(1, page_number=nth, page_size=1, total_pages=2, total_results=2)
        return httpx.Response(200, headers=spent, content=page.content)

    assert len(asked(answer, listed, pace=a_pace(time))) == 2
    assert time.slept == [9.0]


def test_failures_are_asked_again_ever_more_slowly_and_not_for_ever() -> None:
    time = Time()
    with pytest.raises(UnansweredError, match="500"):
        asked(lambda _: httpx.Response(500, json={}), listed, pace=a_pace(time))
    assert len(time.slept) == ATTEMPTS - 1
    assert all(0.25 * 2**nth <= wait <= 0.5 * 2**nth for nth, wait in enumerate(time.slept))


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, UnauthorizedError), (403, ForbiddenError), (400, QuestionRefusedError), (422, QuestionRefusedError)],
)
def test_what_another_attempt_cannot_mend_is_not_tried_again(status: int, error: type[Exception]) -> None:
    requests = 0

    def answer(nth: int) -> httpx.Response:
        nonlocal requests
        requests = nth
        return httpx.Response(status, json={"errors": [{"title": "no"}]})

    with pytest.raises(error) as caught:
        asked(answer, listed)
    assert requests == 1
    assert str(status) in str(caught.value)


def test_lists_without_meta_end_where_nothing_new_comes() -> None:
    assert len(asked(lambda nth: a_page(3) if nth <= 3 else a_page(0), listed)) == 3
    assert len(asked(lambda _: a_page(3), listed)) == 3, "the same page for ever"


def test_half_a_page_and_half_a_document_are_asked_for_again() -> None:
    whole = a_page(4, page_number=1, page_size=20, total_pages=1, total_results=4)
    half = a_page(2, page_number=1, page_size=20, total_pages=1, total_results=4)
    cut = httpx.Response(200, content=whole.content[:30])
    assert len(asked(lambda nth: (half, cut, whole)[min(nth, 3) - 1], listed)) == 4
    with pytest.raises(UnansweredError, match="fewer items"):
        asked(lambda _: half, listed)


def test_a_list_that_is_not_found_has_not_been_read_unless_what_it_is_of_may_be_gone() -> None:
    gone = httpx.Response(404, json={"errors": [{"code": "10007"}]})
    whole = a_page(4, page_number=1, page_size=20, total_pages=1, total_results=4)
    assert len(asked(lambda nth: gone if nth < 3 else whole, listed)) == 4
    with pytest.raises(UnansweredError, match="404"):
        asked(lambda _: gone, listed)

    async def waiting(api: Api) -> list[Any]:
        pages = api.pages(
            "queues",
            lambda number: api.client.queues.calls.with_raw_response.list("sales", page_number=number),
            may_be_gone=True,
        )
        return [item async for items in pages for item in items]

    assert asked(lambda _: gone, waiting) == []


def test_with_failures_half_pages_and_limits_everything_is_brought_back(tmp_path: Path) -> None:
    world = a_world(3)
    lost = {event.event_id for event in world.events[::5]}
    center, time = Center(tmp_path, AFTERWARDS), Time()
    center.hear(world.events, lost)
    bad = Manners(failing=0.15, cut=0.1, halved=0.1, without_meta=0.05, seed=2)
    for _ in range(3):
        center.reconcile(center.account(world, lost), bad, pace=a_pace(time))
    stored = {row["event_id"] for row in center.warehouse.dicts("events")}
    assert lost <= stored
    center.reconcile(center.account(world, lost))
    assert not [each for each in center.appended if b'"observed-' not in each.body]
    center.close()


def test_a_source_that_fails_is_not_called_complete_and_the_rest_goes_on(tmp_path: Path) -> None:
    world = a_world(3)
    center = Center(tmp_path, AFTERWARDS)
    outcomes = {
        each.source: each for each in center.reconcile(center.account(world), Manners(failing=1.0), pace=a_pace(Time()))
    }
    assert all(each.fault for each in outcomes.values())
    assert center.appended == []
    forbidden = Manners(forbidden=frozenset({"call_events", "queues"}))
    outcomes = {each.source: each for each in center.reconcile(center.account(world), forbidden)}
    assert {name for name, each in outcomes.items() if each.forbidden} == {"call_events", "queues"}
    windows = [each.body for each in center.appended if b"reconciler.window.completed" in each.body]
    assert not [body for body in windows if b'"source":"call_events"' in body]
    assert [body for body in windows if b'"source":"webhook_deliveries"' in body]
    center.close()
