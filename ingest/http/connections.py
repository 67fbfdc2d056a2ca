"""The open connections by state, oldest first: a late one is ended, and the oldest are shed when there are too many."""

import asyncio
import ipaddress
from enum import StrEnum
from typing import Protocol

import structlog

from ingest.http.limits import Limits
from ingest.metrics import HttpMetrics, Shed

log = structlog.get_logger("ingest")

_PERIOD_S = 0.1
_SAID_NOTHING_S = 1.0
"""After so long a connection without a complete head is shed before any other."""
_WARN_EVERY_S = 60.0


class ConnectionState(StrEnum):
    """The event that a connection waits for."""

    SILENT = "silent"
    """Its first head, or the rest of it."""
    IDLE = "idle"
    """The next request."""
    HEAD = "head"
    """The rest of a later head."""
    BODY = "body"
    """The rest of a body."""
    ANSWER = "answer"
    """Us: the request is complete."""
    READER = "reader"
    """The client, to read its answer."""
    CLOSING = "closing"
    """The client, to read the last of it and close."""


class RegisteredConnection(Protocol):
    """A connection as the registry knows it. Only the registry writes `state`, `since` and `held`."""

    state: ConnectionState | None
    since: float
    held: int
    """Bytes of unfinished requests that the connection holds."""
    address: str | None
    """Where the peer is; None on this machine."""

    def end(self, why: Shed) -> None:
        """Close, in a way that fits the state."""


_LATE = {
    ConnectionState.SILENT: Shed.HEAD_LATE,
    ConnectionState.IDLE: Shed.IDLE,
    ConnectionState.HEAD: Shed.HEAD_LATE,
    ConnectionState.BODY: Shed.BODY_LATE,
    ConnectionState.READER: Shed.READER_LATE,
    ConnectionState.CLOSING: Shed.CLOSING_LATE,
}
_SHEDDABLE = (
    ConnectionState.CLOSING,
    ConnectionState.SILENT,
    ConnectionState.IDLE,
    ConnectionState.HEAD,
    ConnectionState.BODY,
    ConnectionState.READER,
)


class Connections:
    """The registry. The connections of a state are in the order in which they entered it: the first is the oldest."""

    def __init__(self, limits: Limits, metrics: HttpMetrics) -> None:
        """Begin with none."""
        self._limits = limits
        self._metrics = metrics
        self._in: dict[ConnectionState, dict[RegisteredConnection, None]] = {state: {} for state in ConnectionState}
        self._timeouts_s = {
            ConnectionState.SILENT: limits.head_s,
            ConnectionState.IDLE: limits.idle_s,
            ConnectionState.HEAD: limits.head_s,
            ConnectionState.BODY: limits.body_s,
            ConnectionState.READER: limits.reading_s,
            ConnectionState.CLOSING: limits.closing_s,
        }
        self._at: dict[str, dict[RegisteredConnection, None]] = {}
        self._holders: dict[RegisteredConnection, None] = {}
        self._held = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_sweeping = False
        self._shed_since_warning = 0
        self._warned_at = -_WARN_EVERY_S
        metrics.connections = self.count

    def count(self) -> int:
        """Return how many connections are open."""
        return sum(map(len, self._in.values()))

    @property
    def held(self) -> int:
        """Bytes of all unfinished requests."""
        return self._held

    def register(self, connection: RegisteredConnection) -> bool:
        """Register a new connection, and shed another where there are too many; False where there is no room."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        if self.count() >= self._limits.connections and not self._shed_one(self._oldest(), Shed.FULL):
            self._count(Shed.REFUSED)
            return False
        if connection.address is not None and self._limits.connections_per_address is not None:
            ours = self._at.setdefault(connection.address, {})
            if len(ours) >= self._limits.connections_per_address and not self._shed_one(
                next((each for each in ours if each.state in _SHEDDABLE), None), Shed.ADDRESS_FULL
            ):
                self._count(Shed.REFUSED)
                return False
            # The dictionary is dropped with the last connection of an address.
            self._at.setdefault(connection.address, ours)[connection] = None
        self.move(connection, ConnectionState.SILENT)
        if not self._is_sweeping:
            self._is_sweeping = True
            self._loop.call_later(_PERIOD_S, self._sweep)
        return True

    def move(self, connection: RegisteredConnection, state: ConnectionState) -> None:
        """Note the connection's new state; where that is its state already, `since` stays."""
        if connection.state is state:
            return
        if connection.state is not None:
            del self._in[connection.state][connection]
        connection.state = state
        if self._loop is not None:
            connection.since = self._loop.time()
        self._in[state][connection] = None

    def hold(self, connection: RegisteredConnection, size: int) -> None:
        """Note how many unfinished bytes the connection holds; end the oldest holders where the sum is too large."""
        if size == connection.held:
            return
        self._held += size - connection.held
        connection.held = size
        if not size:
            self._holders.pop(connection, None)
            return
        self._holders.setdefault(connection)
        while self._held > self._limits.unfinished_bytes:
            oldest = next(iter(self._holders))
            self.hold(oldest, 0)
            self._shed_one(oldest, Shed.BYTES)

    def forget(self, connection: RegisteredConnection) -> None:
        """Drop a connection that is closed, or will be in a moment."""
        if connection.state is None:
            return
        self.hold(connection, 0)
        del self._in[connection.state][connection]
        connection.state = None
        ours = self._at.get(connection.address or "")
        if ours is not None:
            ours.pop(connection, None)
            if not ours:
                del self._at[connection.address or ""]

    def _oldest(self) -> RegisteredConnection | None:
        """Return the next to shed: a closing one, one without a head for a second, else the one that waits longest."""
        closing = next(iter(self._in[ConnectionState.CLOSING]), None)
        if closing is not None:
            return closing
        quiet = self._first(ConnectionState.SILENT, ConnectionState.IDLE)
        if quiet is not None and self._now() - quiet.since >= _SAID_NOTHING_S:
            return quiet
        return self._first(*_SHEDDABLE)

    def _first(self, *states: ConnectionState) -> RegisteredConnection | None:
        firsts = [first for state in states if (first := next(iter(self._in[state]), None)) is not None]
        return min(firsts, key=lambda each: each.since, default=None)

    def _shed_one(self, connection: RegisteredConnection | None, why: Shed) -> bool:
        if connection is None:
            return False
        self._count(why)
        connection.end(why)
        return True

    def _count(self, why: Shed) -> None:
        self._metrics.shed(why)
        if why in {Shed.IDLE, Shed.CLOSING_LATE, Shed.HEAD_LATE, Shed.BODY_LATE, Shed.READER_LATE}:
            return
        self._shed_since_warning += 1
        if self._now() - self._warned_at >= _WARN_EVERY_S:
            log.warning("connections_shed", latest=why.value, since_last_warning=self._shed_since_warning)
            self._warned_at, self._shed_since_warning = self._now(), 0

    def _now(self) -> float:
        return self._loop.time() if self._loop is not None else 0.0

    def _sweep(self) -> None:
        """End the late connections."""
        now = self._now()
        for state, timeout_s in self._timeouts_s.items():
            while (oldest := next(iter(self._in[state]), None)) is not None and now - oldest.since >= timeout_s:
                self._shed_one(oldest, _LATE[state])
        for connection in self._too_slow(now):
            self._shed_one(connection, Shed.BODY_LATE)
        self._is_sweeping = self._loop is not None and self.count() > 0
        if self._is_sweeping and self._loop is not None:
            self._loop.call_later(_PERIOD_S, self._sweep)

    def _too_slow(self, now: float) -> list[RegisteredConnection]:
        """Return the connections whose bodies come too slowly, among those that began some time ago."""
        slow = []
        for connection in self._in[ConnectionState.BODY]:
            counted_s = now - connection.since - self._limits.rate_counts_after_s
            if counted_s <= 0:
                break
            if connection.held < self._limits.min_rate * counted_s:
                slow.append(connection)
        return slow


def remote_address(peer: object) -> str | None:
    """Return the address of a socket's peer as text; None where it is on this machine, or has none."""
    if not isinstance(peer, tuple) or not peer:
        return None
    address = ipaddress.ip_address(str(peer[0]).partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None) or address
    return None if mapped.is_loopback else str(mapped)
