"""The bytes of a client's connection: read when it is their turn, and written as the client takes them."""

import asyncio
from abc import abstractmethod
from typing import Any, cast

from ingest.http.bodies import MAX_BODY_BYTES
from ingest.http.connections import Connections, ConnectionState, remote_address
from ingest.http.turns import FIRST_READ_BYTES, Turns
from ingest.metrics import Shed


class ClientStream(asyncio.BufferedProtocol):
    """A connection without its requests: a subclass reads those in `_read`, and sets `_is_answering` meanwhile."""

    def __init__(self, *, connections: Connections, turns: Turns, ours: set[Any]) -> None:
        """Register with `connections`; `ours` is the set that uvicorn's server waits for."""
        self._connections = connections
        self._turns = turns
        self._buffer = turns.first
        self._ours = ours
        self.state: ConnectionState | None = None
        self.since = 0.0
        self.held = 0
        self.address: str | None = None
        self._port = 0
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._pending = b""
        self._is_answering = self._is_write_paused = self._is_stopping = False
        self._can_write: asyncio.Event | None = None
        self._discarded = 0

    @abstractmethod
    def _read(self, data: bytes) -> None:
        """Read one request, or a part of it; keep the bytes after it."""

    @abstractmethod
    def end(self, why: Shed) -> None:
        """Close, because the connections' registry says so."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request, if there is room."""
        self._transport = cast("asyncio.Transport", transport)
        self._ours.add(self)
        self.address = remote_address(transport.get_extra_info("peername"))
        self._port = (transport.get_extra_info("sockname") or ("", 0))[1]
        if not self._connections.register(self):
            self._transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's name
        """Return where the next bytes go."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take the bytes that came."""
        self.data_received(bytes(self._buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Read on, or keep the bytes for their turn."""
        if self.state is ConnectionState.CLOSING:
            self._discard(len(data))
        elif self._is_answering or self.state is ConnectionState.READER:
            self._keep(data)
        elif self.state is not None:
            self._read(data)

    def eof_received(self) -> bool:
        """Close after the answer under way; return False to close at once."""
        self._is_stopping = True
        return self._is_answering

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        self._is_write_paused = True
        if self.state in {ConnectionState.ANSWER, ConnectionState.IDLE}:
            self._connections.move(self, ConnectionState.READER)

    def resume_writing(self) -> None:
        """Go on where the client made us wait."""
        self._is_write_paused = False
        if self._can_write is not None:
            self._can_write.set()
        if self.state is not ConnectionState.READER:
            return
        if self._is_answering:
            self._connections.move(self, ConnectionState.ANSWER)
        else:
            self._await_next()

    def _wait_for_turn(self, read_bytes: int) -> None:
        """Read on in a body when it is its turn, where so many bytes at once show that the body is large."""
        if read_bytes >= FIRST_READ_BYTES and self.state is ConnectionState.BODY:
            self._buffer = self._turns.later
            self._transport.pause_reading()
            self._turns.wait(self._go_on)

    def _go_on(self) -> None:
        if self.state is ConnectionState.BODY:
            self._transport.resume_reading()

    def _finish_answer(self, *, keeps_alive: bool) -> None:
        self._is_answering = False
        if self.state is None:
            return
        if not keeps_alive or self._is_stopping:
            self._close()
        elif self._is_write_paused:
            self._connections.move(self, ConnectionState.READER)
        else:
            self._await_next()

    def _await_next(self) -> None:
        """Go on with the next request, whose beginning may be here.

        Requests that were sent before their turn wait for one: else a thousand connections full of requests would be
        served before connections that send one at a time.
        """
        self._connections.move(self, ConnectionState.IDLE)
        if self._pending:
            self._turns.wait(self._read_pending)

    def _read_pending(self) -> None:
        if self.state is not ConnectionState.IDLE or not self._pending:
            return
        data, self._pending = self._pending, b""
        self._connections.hold(self, 0)
        self._transport.resume_reading()
        self._read(data)

    def _keep(self, data: bytes) -> None:
        """Keep bytes that came before their turn, and read no more until then."""
        self._pending += data
        self._transport.pause_reading()
        self._connections.hold(self, len(self._pending))

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > MAX_BODY_BYTES:
            self._transport.abort()

    def _write(self, data: bytes) -> None:
        if self.state is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def _drain(self) -> None:
        while self._is_write_paused and self.state is not None:
            self._can_write = asyncio.Event()
            await self._can_write.wait()

    def _close_after(self, data: bytes) -> None:
        """Write the last bytes, and leave it to the client to close."""
        self._write(data)
        # Closing with bytes unread would reset the connection, and the client might lose the answer.
        self._connections.hold(self, 0)
        self._connections.move(self, ConnectionState.CLOSING)
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _close(self) -> None:
        if self.state is not None:
            self._connections.hold(self, 0)
            self._connections.move(self, ConnectionState.CLOSING)
        self._transport.close()
