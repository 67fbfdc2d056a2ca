"""The official SDK reads the stand-in: lists, single things, pages, and the quirks that are known of them."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
import telnyx
from telnyx import AsyncTelnyx

from simulator import (
    Plan,
    World,
    simulate,
)
from simulator.api import Account, Manners
from tests.support.builders import stamp
from tests.support.served import frozen, sdk

START = datetime(2026, 3, 2, 14, tzinfo=UTC)
AFTERWARDS = START + timedelta(hours=3)


@cache
def a_world() -> World:
    return simulate(Plan.medium(), seed=4, start=START, duration=timedelta(minutes=40))


def asked(
    ask: Callable[[AsyncTelnyx], Awaitable[Any]],
    *,
    at: datetime = AFTERWARDS,
    lost: set[str] | None = None,
    manners: Manners | None = None,
    **options: Any,
) -> Any:
    """What the SDK says when it asks the world, `at` that time."""

    async def ask_it() -> Any:
        account = Account.of(a_world(), now=frozen(at), lost=lost or set())
        async with sdk(account, manners, **options) as client:
            return await ask(client)

    return asyncio.run(ask_it())


async def every(pages: Any) -> list[Any]:
    return [item async for item in pages]


def test_webhook_deliveries_hold_every_original_once() -> None:
    found = asked(lambda client: every(client.webhook_deliveries.list(page_size=250)))
    assert [each.webhook.id for each in found[::-1]] == [event.event_id for event in a_world().events]
    assert found[0].webhook.payload is not None


def test_webhook_deliveries_are_found_by_status_and_time() -> None:
    lost = {event.event_id for event in a_world().events[::7]}
    some = a_world().events[100:200]

    async def ask(client: AsyncTelnyx) -> tuple[list[Any], list[Any]]:
        failed = client.webhook_deliveries.list(filter={"status": {"eq": "failed"}}, page_size=250)
        between: Any = {"started_at": {"gte": stamp_us(some[0].at), "lte": stamp_us(some[-1].at)}}
        return await every(failed), await every(client.webhook_deliveries.list(filter=between))

    failed, between = asked(ask, lost=lost)
    assert {each.webhook.id for each in failed} == lost
    assert {event.event_id for event in some} <= {each.webhook.id for each in between}
    assert len(between) < len(some) + 5


def stamp_us(at: int) -> str:
    return stamp(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at))


def test_call_events_reach_back_a_day_unless_a_leg_is_named() -> None:
    leg = a_world().history.legs[0]

    async def ask(client: AsyncTelnyx) -> tuple[list[Any], list[Any], list[Any]]:
        return (
            await every(client.call_events.list(page_size=250)),
            await every(client.call_events.list(filter={"leg_id": leg.leg_id})),
            await every(client.call_events.list(filter={"application_session_id": leg.session_id})),
        )

    recent, of_leg, of_session = asked(ask, at=AFTERWARDS + timedelta(days=3))
    assert recent == []
    assert {each.call_leg_id for each in of_leg} == {leg.leg_id}
    assert {each.call_session_id for each in of_session} == {leg.session_id}
    assert len(asked(lambda client: every(client.call_events.list(page_size=250)))) == len(a_world().events)


def test_call_events_take_one_bound_of_time_and_ignore_the_session() -> None:
    async def ask(client: AsyncTelnyx) -> int:
        page: Any = await client.call_events.list(extra_query={"filter[call_session_id]": "nobody"})
        return int(page.meta.total_results)

    assert asked(ask) == len(a_world().events)
    both: Any = {"occurred_at": {"gte": stamp(START), "lte": stamp(AFTERWARDS)}}
    with pytest.raises(telnyx.UnprocessableEntityError):
        asked(lambda client: every(client.call_events.list(filter=both)))


def test_conferences_are_those_of_the_world_with_their_ends() -> None:
    found = asked(lambda client: every(client.conferences.list(page_size=250)))
    wanted = {room.conference_id: room.end_reason for room in a_world().history.conferences}
    assert {each.id: each.end_reason for each in found} == wanted
    assert all(each.status == "completed" and each.name and each.expires_at for each in found)
    assert [each.expires_at for each in found] == sorted((each.expires_at for each in found), reverse=True)


def test_a_conference_and_its_participants_are_there_while_it_goes_on() -> None:
    room = max(a_world().history.conferences, key=lambda room: len(room.stays))
    during = datetime.fromtimestamp((room.created + 3_000_000) / 1e6, UTC)

    async def ask(client: AsyncTelnyx) -> tuple[Any, list[Any], Any]:
        single = await client.conferences.retrieve(room.conference_id)
        people = await every(client.conferences.list_participants(room.conference_id))
        return single.data, people, await client.conferences.retrieve_participant(people[0].id, id=room.conference_id)

    single, people, one = asked(ask, at=during)
    assert (single.status, single.end_reason) == ("in_progress", None)
    assert {each.status for each in people} == {"joined"}
    assert one.data.conference_id == room.conference_id


def test_what_does_not_exist_is_not_found_by_telnyxs_codes() -> None:
    for ask, code in (
        (lambda client: client.conferences.retrieve("nothing"), "90058"),
        (lambda client: client.queues.retrieve("nothing"), "10007"),
        (lambda client: client.queues.calls.retrieve("nobody", queue_name="sales"), "10007"),
        (lambda client: client.calls.retrieve_status("nobody"), "10007"),
    ):
        with pytest.raises(telnyx.NotFoundError) as caught:
            asked(ask)
        assert caught.value.body["errors"][0]["code"] == code  # type: ignore[index]


def test_queues_show_who_waits_now_and_nothing_else() -> None:
    visit = max(a_world().history.visits, key=lambda visit: visit.left - visit.enqueued)
    during = datetime.fromtimestamp((visit.enqueued + visit.left) / 2e6, UTC)

    async def ask(client: AsyncTelnyx) -> tuple[Any, list[Any], Any]:
        return (
            (await client.queues.retrieve(visit.queue)).data,
            await every(client.queues.calls.list(visit.queue)),
            (await client.queues.calls.retrieve(visit.leg.control_id, queue_name=visit.queue)).data,
        )

    queue, waiting, call = asked(ask, at=during)
    assert queue.current_size == len(waiting)
    assert visit.leg.control_id in {each.call_control_id for each in waiting}
    assert call.queue_position >= 1
    assert asked(lambda client: every(client.queues.list()), at=AFTERWARDS + timedelta(days=1)) == []


def test_detail_records_have_times_with_an_offset_and_fifty_a_page() -> None:
    async def ask(client: AsyncTelnyx) -> tuple[Any, list[Any], list[Any]]:
        rooms: Any = {"record_type": "conference"}
        people: Any = {"record_type": "conference-participant"}
        empty: Any = {"record_type": "conference", "date_range": {"gte": "2026-01-01"}}
        page = await client.detail_records.list(filter=people, page_size=250)
        return (
            page,
            await every(client.detail_records.list(filter=rooms)),
            await every(client.detail_records.list(filter=empty)),
        )

    page, rooms, empty = asked(ask)
    assert page.meta.page_size == 50
    assert empty == []
    assert Counter(each.id for each in rooms) == Counter(room.conference_id for room in a_world().history.conferences)


def test_recordings_of_calls_and_conferences_are_listed() -> None:
    found = asked(lambda client: every(client.recordings.list(page_size=250)))
    history = a_world().history
    assert len([each for each in found if each.source == "conference"]) == sum(
        len(room.recordings) for room in history.conferences
    )
    assert len([each for each in found if each.source == "call"]) == sum(len(leg.recordings) for leg in history.legs)


def test_a_wrong_key_a_forbidden_list_and_too_many_requests_are_told_apart() -> None:
    with pytest.raises(telnyx.AuthenticationError):
        asked(lambda client: client.queues.list(), key="wrong")
    with pytest.raises(telnyx.PermissionDeniedError):
        asked(lambda client: client.queues.list(), manners=Manners(forbidden=frozenset({"queues"})))

    async def thrice(client: AsyncTelnyx) -> None:
        for _ in range(3):
            await client.queues.list()

    with pytest.raises(telnyx.RateLimitError) as caught:
        asked(thrice, manners=Manners(limit=2))
    headers = caught.value.response.headers
    assert headers["x-ratelimit-remaining"] == "0"
    assert 1 <= int(headers["x-ratelimit-reset"]) <= 60
    assert "retry-after" not in headers
