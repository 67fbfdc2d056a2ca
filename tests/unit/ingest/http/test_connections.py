"""Which connection goes first when there is too much, and which when it is late."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from ingest.http.connections import Connections, ConnectionState, remote_address
from ingest.http.limits import FILES_KEPT_BACK, MAX_CONNECTIONS, Limits, default_connections, max_connections
from ingest.metrics import HttpMetrics, Shed


@dataclass(eq=False)
class One:
    """A connection that notes why it was ended, and is gone then."""

    registry: Connections
    address: str | None = None
    state: ConnectionState | None = None
    since: float = 0.0
    held: int = 0
    ends: list[Shed] = field(default_factory=list)
    is_ended: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self, why: Shed) -> None:
        self.ends.append(why)
        self.is_ended.set()
        self.registry.forget(self)


def registry(**limits: Any) -> Connections:
    return Connections(Limits(**limits), HttpMetrics(CollectorRegistry()))


def opened(connections: Connections, *states: ConnectionState, address: str | None = None) -> list[One]:
    """Open one connection a state."""
    ones = []
    for state in states:
        ones.append(One(connections, address))
        assert connections.register(ones[-1])
        connections.move(ones[-1], state)
    return ones


def on_a_loop(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_when_full_the_oldest_that_waits_goes_and_none_that_is_answered() -> None:
    async def scenario() -> None:
        ours = registry(connections=4)
        answered, idle, body, head = opened(
            ours, ConnectionState.ANSWER, ConnectionState.IDLE, ConnectionState.BODY, ConnectionState.HEAD
        )
        for expected in (idle, body, head):
            opened(ours, ConnectionState.ANSWER)
            assert expected.ends == [Shed.FULL]
        assert (answered.ends, ours.count()) == ([], 4)
        assert not ours.register(One(ours)), "all are being answered"
        assert ours.count() == 4

    on_a_loop(scenario)


def test_who_is_closing_goes_before_whoever_waits() -> None:
    async def scenario() -> None:
        ours = registry(connections=2)
        idle, closing = opened(ours, ConnectionState.IDLE, ConnectionState.CLOSING)
        opened(ours, ConnectionState.SILENT)
        assert (idle.ends, closing.ends) == ([], [Shed.FULL])

    on_a_loop(scenario)


def test_who_has_said_nothing_for_a_second_goes_before_an_older_body() -> None:
    async def scenario() -> None:
        ours = registry(connections=2, min_rate=0)
        (body,) = opened(ours, ConnectionState.BODY)
        (silent,) = opened(ours, ConnectionState.SILENT)
        await asyncio.sleep(1.1)
        opened(ours, ConnectionState.SILENT)
        assert (body.ends, silent.ends) == ([], [Shed.FULL])

    on_a_loop(scenario)


def test_an_address_that_has_too_many_loses_its_own_oldest() -> None:
    async def scenario() -> None:
        ours = registry(connections=100, connections_per_address=2)
        (other,) = opened(ours, ConnectionState.IDLE, address="192.0.2.2")
        here = opened(ours, *[ConnectionState.IDLE] * 5)
        first, second, third = opened(
            ours, ConnectionState.ANSWER, ConnectionState.IDLE, ConnectionState.IDLE, address="192.0.2.1"
        )
        assert (first.ends, second.ends, third.ends) == ([], [Shed.ADDRESS_FULL], [])
        opened(ours, ConnectionState.ANSWER, address="192.0.2.1")
        assert third.ends == [Shed.ADDRESS_FULL]
        assert not ours.register(One(ours, "192.0.2.1"))
        assert not any(one.ends for one in (other, *here))

    on_a_loop(scenario)


def test_too_many_unfinished_bytes_end_the_oldest_that_holds_some() -> None:
    async def scenario() -> None:
        ours = registry(unfinished_bytes=100)
        none, first, second = opened(ours, ConnectionState.BODY, ConnectionState.BODY, ConnectionState.BODY)
        ours.hold(first, 40)
        ours.hold(second, 40)
        ours.hold(first, 60)
        assert (ours.held, first.ends) == (100, [])
        ours.hold(second, 41)
        assert (ours.held, first.ends, second.ends, none.ends) == (41, [Shed.BYTES], [], [])

    on_a_loop(scenario)


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (ConnectionState.SILENT, Shed.HEAD_LATE),
        (ConnectionState.HEAD, Shed.HEAD_LATE),
        (ConnectionState.BODY, Shed.BODY_LATE),
        (ConnectionState.IDLE, Shed.IDLE),
        (ConnectionState.READER, Shed.READER_LATE),
        (ConnectionState.CLOSING, Shed.CLOSING_LATE),
    ],
)
def test_who_is_late_is_ended_and_who_is_answered_never(state: ConnectionState, why: Shed) -> None:
    async def scenario() -> None:
        ours = registry(head_s=0.1, idle_s=0.1, body_s=0.1, reading_s=0.1, closing_s=0.1)
        late, answered = opened(ours, state, ConnectionState.ANSWER)
        await late.is_ended.wait()
        assert (late.ends, answered.ends, ours.count()) == ([why], [], 1)

    on_a_loop(scenario)


def test_a_body_that_comes_too_slowly_is_ended_before_its_deadline() -> None:
    async def scenario() -> None:
        ours = registry(body_s=1000, rate_counts_after_s=0.1, min_rate=1000)
        slow, fast = opened(ours, ConnectionState.BODY, ConnectionState.BODY)
        ours.hold(slow, 1)
        ours.hold(fast, 1_000_000)
        await slow.is_ended.wait()
        assert (slow.ends, fast.ends) == ([Shed.BODY_LATE], [])

    on_a_loop(scenario)


STEPS = st.lists(st.tuples(st.integers(0, 9), st.sampled_from([*ConnectionState, "open", "close"]), st.integers(0, 60)))


@given(steps=STEPS)
def test_whatever_happens_the_bounds_hold_and_nothing_is_forgotten(
    steps: list[tuple[int, ConnectionState | str, int]],
) -> None:
    async def scenario() -> None:
        ours, ones = registry(connections=5, connections_per_address=3, unfinished_bytes=100), list[One]()
        for number, step, size in steps:
            open_ones = [one for one in ones if one.state is not None]
            if step == "open":
                ones.append(One(ours, f"192.0.2.{number % 2}" if number < 8 else None))
                ours.register(ones[-1])
            elif open_ones and step == "close":
                ours.forget(open_ones[number % len(open_ones)])
            elif open_ones and isinstance(step, ConnectionState):
                one = open_ones[number % len(open_ones)]
                ours.move(one, step)
                ours.hold(one, size)
            open_ones = [one for one in ones if one.state is not None]
            assert ours.count() == len(open_ones) <= 5
            assert ours.held == sum(one.held for one in open_ones) <= 100
            for address in ("192.0.2.0", "192.0.2.1"):
                assert sum(one.address == address for one in open_ones) <= 3
        for one in ones:
            ours.forget(one)
        assert (ours.count(), ours.held) == (0, 0)

    on_a_loop(scenario)


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        (("127.0.0.1", 1), None),
        (("127.9.9.9", 1), None),
        (("::1", 1, 0, 0), None),
        (("::ffff:127.0.0.1", 1, 0, 0), None),
        (("192.0.2.1", 1), "192.0.2.1"),
        (("::ffff:192.0.2.1", 1, 0, 0), "192.0.2.1"),
        (("fe80::1%eth0", 1, 0, 0), "fe80::1"),
        (None, None),
        ("", None),
    ],
)
def test_a_peer_on_this_machine_has_no_address_of_its_own(peer: object, address: str | None) -> None:
    assert remote_address(peer) == address


@given(descriptors=st.integers(16, 1 << 20))
def test_some_descriptors_are_kept_back_for_files(descriptors: int) -> None:
    most = max_connections(descriptors)
    assert 1 <= default_connections(descriptors) <= min(most, MAX_CONNECTIONS)
    assert min(FILES_KEPT_BACK, descriptors // 4) <= descriptors - most or most == 1
