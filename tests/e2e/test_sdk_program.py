"""A program with the official SDK, the stand-in for Telnyx and holdtime, all as they are run: what it does is told."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest
from telnyx import AsyncTelnyx

from holdtime.commands.server import Server
from holdtime.commands.simulate import Simulation
from holdtime.commands.simulate_api import API_KEY
from tests.support.waiting import until


@contextmanager
def telnyx(folder: Path, webhooks: str) -> Iterator[str]:
    """`holdtime simulate --api`, posting to those webhooks; gives its base URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--hours", "0.02", "--key", str(folder / "key"), "--url", webhooks, "--api", "--api-port", str(port)]
    with (folder / "simulate.log").open("wb") as words:
        process = subprocess.Popen(
            [sys.executable, "-m", "holdtime", "simulate", *options], cwd=folder, stdout=words, stderr=words
        )
    try:
        until(lambda: _answers(port), (folder / "simulate.log").read_text)
        yield f"http://127.0.0.1:{port}/v2"
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def a_shift(url: str) -> dict[str, str]:
    """Every command that there is, and what the lists say meanwhile; returns the ids of what it made."""
    async with AsyncTelnyx(api_key=API_KEY, base_url=url) as client:
        calls, rooms = client.calls.actions, client.conferences.actions

        async def dialled() -> str:
            leg = (await client.calls.dial(connection_id="1", from_="+12025550131", to="sip:ann@example.com")).data
            assert leg is not None
            assert leg.call_control_id is not None
            await calls.answer(leg.call_control_id)
            return leg.call_control_id

        caller, agent, impatient = await dialled(), await dialled(), await dialled()
        await calls.enqueue(caller, queue_name="sdk program")
        await calls.enqueue(impatient, queue_name="sdk program")
        queue = (await client.queues.retrieve("sdk program")).data
        assert queue is not None
        assert queue.current_size == 2
        assert "sdk program" in {each.name async for each in client.queues.list()}
        waiting = {each.call_control_id async for each in client.queues.calls.list("sdk program")}
        assert waiting == {caller, impatient}
        second = (await client.queues.calls.retrieve(impatient, queue_name="sdk program")).data
        assert second is not None
        assert second.queue_position == 2
        await calls.leave_queue(impatient)
        created = (await client.conferences.create(call_control_id=agent, name="room")).data
        assert created is not None
        room = created.id
        await rooms.join(room, call_control_id=caller)
        await rooms.join(room, call_control_id=impatient)
        await rooms.record_start(room, format="wav")
        await rooms.hold(room, call_control_ids=[caller])
        await rooms.mute(room, call_control_ids=[caller, agent])
        flags = {each.call_control_id: each async for each in client.conferences.list_participants(room)}
        assert (flags[caller].on_hold, flags[caller].muted, flags[agent].on_hold) == (True, True, False)
        await rooms.unhold(room, call_control_ids=[caller])
        await rooms.unmute(room, call_control_ids=[caller])
        one: Any = (await client.conferences.retrieve_participant(flags[caller].id, id=room)).data
        assert (one.on_hold, one.muted, one.status) == (False, False, "joined")
        await rooms.leave(room, call_control_id=impatient)
        await rooms.record_stop(room)
        await client.post(f"/conferences/{room}/actions/end", body={}, cast_to=object)
        for leg in (caller, agent, impatient):
            await calls.hangup(leg)
        await read_back(client, room, caller)
        return {"caller": caller, "agent": agent, "impatient": impatient, "room": room}


async def read_back(client: AsyncTelnyx, room: str, caller: str) -> None:
    """What every list says afterwards."""
    ended = (await client.conferences.retrieve(room)).data
    assert ended is not None
    assert (ended.status, ended.end_reason) == ("completed", "ended_via_api")
    assert room in {each.id async for each in client.conferences.list()}
    assert room in {each.conference_id async for each in client.recordings.list()}
    records: Any = {"record_type": "conference"}
    details: Any = client.detail_records.list(filter=records)
    assert room in {each.id async for each in details}
    status = (await client.calls.retrieve_status(caller)).data
    assert status is not None
    assert status.is_alive is False
    told = {each.name async for each in client.call_events.list(page_size=250)}
    delivered = {each.webhook.event_type async for each in client.webhook_deliveries.list() if each.webhook}
    assert "conference.ended" in told & delivered


def shown(folder: Path, query: str, *values: str) -> list[Any]:
    with duckdb.connect(folder / "replica.duckdb", read_only=True) as db:
        return db.execute(query, list(values)).fetchall()


CALLS = "select count(*) from calls where status = 'ended' and call_control_id in (?, ?, ?)"


def test_what_every_command_does_is_told_by_signed_webhooks_and_the_facts_say_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public_key = Simulation.prepare(tmp_path / "key").public_key
    with (
        Server.started(tmp_path, public_key=public_key) as server,
        telnyx(tmp_path, f"{server.address}/webhooks/telnyx") as url,
    ):
        made = asyncio.run(a_shift(url))
        legs = (made["caller"], made["agent"], made["impatient"])
        until(lambda: shown(tmp_path, CALLS, *legs) == [(3,)], lambda: shown(tmp_path, CALLS, *legs))
        query = "select call_control_id, outcome, reason from queue_visits where queue = 'sdk program'"
        assert set(shown(tmp_path, query)) == {
            (made["caller"], "answered", "bridged"),
            (made["impatient"], "left", "leave"),
        }
        query = """
            select status, end_reason, unique_participants, peak_participants, recordings, origins
            from conferences where conference_id = ?
        """
        assert shown(tmp_path, query, made["room"]) == [("completed", None, 3, 3, 1, "webhook")]
        query = "select count(*) from participant_stays where conference_id = ? and left_at is not null"
        assert shown(tmp_path, query, made["room"]) == [(3,)]
        query = "select kind, format, source from recordings where conference_id = ?"
        assert shown(tmp_path, query, made["room"]) == [("conference", "wav", "webhook")]
        assert shown(tmp_path, "select count(*) from events where not verified") == [(0,)]
        server.stop()
        monkeypatch.setenv("TELNYX_API_KEY", API_KEY)
        monkeypatch.setenv("TELNYX_BASE_URL", url)
        reconcile(tmp_path)
    query = "select end_reason, end_reason_source, name from conferences where conference_id = ?"
    assert shown(tmp_path, query, made["room"]) == [("ended_via_api", "rest", "room")]
    found = "select count(*) from events where origin = 'reconciler' and event_type not like 'reconciler.%'"
    assert shown(tmp_path, found) == [(0,)], "every webhook had come"


def reconcile(folder: Path) -> None:
    """`holdtime reconcile --once`, where `holdtime up` no longer runs."""
    environment = {
        **os.environ,
        "HOLDTIME_LOG": f"sqlite:{folder / 'log.sqlite'}",
        "HOLDTIME_WAREHOUSE": str(folder / "warehouse.duckdb"),
        "HOLDTIME_REPLICA": str(folder / "replica.duckdb"),
    }
    ended = subprocess.run(
        [sys.executable, "-m", "holdtime", "reconcile", "--once"],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
