"""A program with the official SDK runs a small center on the stand-in; what it does comes as webhooks, and is true."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import telnyx
from telnyx import AsyncTelnyx

from simulator import Plan
from simulator.api import Account
from simulator.api.commands import Commands
from simulator.history import Leg
from simulator.telnyx import Event
from tests.support.builders import (
    NOON,
    Warehouse,
    microseconds,
    opened_warehouse,
)
from tests.support.reconciling import Center
from tests.support.served import sdk


@dataclass
class Program:
    """An account with a clock that is turned by hand, and what it was told by webhook."""

    at: datetime = NOON
    heard: list[Event] = field(default_factory=list)
    account: Account = field(init=False)

    def __post_init__(self) -> None:
        self.account = Account.empty(Plan.medium(), now=lambda: microseconds(self.at))
        self.account.hear = self.heard.append

    def passes(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def calls(self, number: str = "+12025550133") -> Leg:
        return Commands(self.account).call_in(number, "+12025550131")

    @asynccontextmanager
    async def client(self) -> AsyncIterator[AsyncTelnyx]:
        async with sdk(self.account) as client:
            yield client


async def a_shift(program: Program) -> str:
    """A caller waits, is taken into a conference with an agent, is put on hold; the conference is ended by command."""
    async with program.client() as telnyx_:
        caller = program.calls()
        await telnyx_.calls.actions.answer(caller.control_id)
        await telnyx_.calls.actions.enqueue(caller.control_id, queue_name="sales")
        program.passes(41)
        dialled = await telnyx_.calls.dial(connection_id="1", from_="+12025550131", to="sip:ann@example.com")
        assert dialled.data is not None
        agent = dialled.data.call_control_id
        await telnyx_.calls.actions.answer(agent)
        room = await telnyx_.conferences.create(call_control_id=agent, name="room")
        assert room.data is not None
        conference_id = room.data.id
        await telnyx_.conferences.actions.join(conference_id, call_control_id=caller.control_id)
        await telnyx_.conferences.actions.record_start(conference_id, format="wav")
        await telnyx_.conferences.actions.hold(conference_id, call_control_ids=[caller.control_id])
        held = await telnyx_.conferences.list_participants(conference_id)
        assert sorted(bool(each.on_hold) for each in held.data or []) == [False, True]
        program.passes(10)
        await telnyx_.conferences.actions.unhold(conference_id, call_control_ids=[caller.control_id])
        await telnyx_.conferences.actions.mute(conference_id)
        program.passes(50)
        await telnyx_.conferences.actions.record_stop(conference_id)
        await telnyx_.post(f"/conferences/{conference_id}/actions/end", body={}, cast_to=object)
        program.passes(1)
        for leg in (caller.control_id, agent):
            await telnyx_.calls.actions.hangup(leg)
        return conference_id


def landed(warehouse: Warehouse, program: Program) -> None:
    warehouse.land_bodies([event.body for event in program.heard], now=program.at, received=program.at)


def test_what_commands_do_comes_as_webhooks_and_is_what_the_facts_say() -> None:
    program = Program()
    asyncio.run(a_shift(program))
    with opened_warehouse() as warehouse:
        landed(warehouse, program)
        visit = warehouse.only("queue_visits")
        assert (visit["outcome"], visit["wait_ms"], visit["queue"]) == ("answered", 41_000, "sales")
        room = warehouse.only("conferences")
        assert (room["duration_ms"], room["unique_participants"], room["recordings"]) == (60_000, 2, 1)
        assert room["end_reason"] is None, "the webhook of an end by API says no reason"
        assert {row["status"] for row in warehouse.dicts("calls")} == {"ended"}
        assert warehouse.only("recordings")["duration_ms"] == 60_000


def test_the_list_of_conferences_says_what_the_webhook_of_an_end_by_command_does_not(tmp_path: Path) -> None:
    program = Program()
    asyncio.run(a_shift(program))
    center = Center(tmp_path, program.at)
    center.hear(program.heard)
    center.reconcile(program.account)
    room = center.warehouse.only("conferences")
    assert (room["end_reason"], room["end_reason_source"], room["name"]) == ("ended_via_api", "rest", "room")
    assert (room["ended_at_source"], room["duration_ms"], room["origins"]) == ("webhook", 60_000, "reconciler,webhook")
    center.close()


def test_a_call_that_still_waits_keeps_its_visit_open_and_one_that_is_gone_bounds_it(tmp_path: Path) -> None:
    program = Program()
    caller, other = program.calls(), program.calls("+12025550134")

    async def enqueue() -> None:
        async with program.client() as client:
            for leg in (caller, other):
                await client.calls.actions.enqueue(leg.control_id, queue_name="sales")

    asyncio.run(enqueue())
    program.passes(30 * 3600)
    center = Center(tmp_path, program.at)
    center.hear(program.heard)
    assert [row["outcome"] for row in center.warehouse.dicts("queue_visits")] == ["unknown", "unknown"]
    center.reconcile(program.account)
    visits = center.warehouse.dicts("queue_visits")
    assert [row["outcome"] for row in visits] == ["waiting", "waiting"]
    assert {row["seen_waiting_at"] for row in visits} == {NOON + timedelta(hours=24)}

    async def leave() -> None:
        program.account.hear = lambda _: None  # nobody hears of it
        async with program.client() as client:
            await client.calls.actions.leave_queue(other.control_id)

    asyncio.run(leave())
    program.passes(600)
    center.at = program.at
    center.reconcile(program.account, since=timedelta(minutes=1))
    gone = [row for row in center.warehouse.dicts("queue_visits") if row["call_leg_id"] == other.leg_id]
    assert [(row["outcome"], row["reason"]) for row in gone] == [("left", "leave")], "the original was found"
    center.close()


def test_commands_that_cannot_be_obeyed_are_refused_by_telnyxs_codes() -> None:
    program = Program()
    caller = program.calls()

    async def refused() -> list[str]:
        codes: list[str] = []
        async with program.client() as client:
            await client.calls.actions.enqueue(caller.control_id, queue_name="sales")
            for ask in (
                lambda: client.calls.actions.enqueue(caller.control_id, queue_name="sales"),
                lambda: client.conferences.actions.join("nothing", call_control_id=caller.control_id),
                lambda: client.calls.actions.answer("nobody"),
            ):
                with pytest.raises(telnyx.APIStatusError) as caught:
                    await ask()
                codes.append(caught.value.body["errors"][0]["code"])  # type: ignore[index]
            await client.calls.actions.hangup(caller.control_id)
            with pytest.raises(telnyx.UnprocessableEntityError) as ended:
                await client.calls.actions.answer(caller.control_id)
            codes.append(ended.value.body["errors"][0]["code"])  # type: ignore[index]
        return codes

    assert asyncio.run(refused()) == ["90038", "90058", "10007", "90018"]
