"""`python -m bench.reliability.flooder KIND PORT SECONDS CONNECTIONS`: hostile clients, in a process of their own.

Each opens a connection, does what its kind does, and opens another one a second after it was closed. At the end the
number of connections that the server closed is written to standard output.
"""

import asyncio
import base64
import random
import sys
from collections.abc import Callable
from functools import partial
from typing import cast

import uvloop

MEBIBYTE = 1 << 20
AGAIN_S = 1.0
BEAT_S = 1.0

_HEAD = (
    b"POST /webhooks/telnyx HTTP/1.1\r\nHost: x\r\nTelnyx-Timestamp: 1767261600\r\n"
    b"Telnyx-Signature-Ed25519: " + base64.b64encode(b"\1" * 64) + b"\r\nContent-Length: %d\r\n\r\n"
)
_SHORT = _HEAD % MEBIBYTE + b"x" * (MEBIBYTE - 6)
_PAGES = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 200

FIRST: dict[str, bytes] = {
    "silent": b"",
    "header": b"POST /webhooks/telnyx HTTP/1.1\r\nX: ",
    "body": _HEAD % 1_000_000,
    "big_body": _SHORT,
    "slow_read": _PAGES,
    "whole_body": _HEAD % MEBIBYTE + b"x" * MEBIBYTE,
}
"""What each kind sends at once; headers and bodies then trickle, a byte a second."""

KINDS = tuple(FIRST)
_TRICKLES = frozenset(("header", "body"))


class Client(asyncio.Protocol):
    """One connection of a flood."""

    def __init__(self, kind: str, closed: Callable[[], None]) -> None:
        """Behave as the kind does; call `closed` at the end."""
        self._kind = kind
        self._closed = closed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send what the kind sends."""
        self._transport = cast("asyncio.Transport", transport)
        if self._kind == "slow_read":
            self._transport.pause_reading()
        if FIRST[self._kind]:
            self._transport.write(FIRST[self._kind])
        if self._kind in _TRICKLES:
            self._trickle()

    def connection_lost(self, _: Exception | None) -> None:
        """Say so."""
        self._closed()

    def _trickle(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(b"a")
            asyncio.get_running_loop().call_later(BEAT_S, self._trickle)


async def flood(kind: str, port: int, seconds: float, connections: int) -> int:
    """Flood; return how many connections were closed by the server."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    ended = 0

    async def one() -> None:
        nonlocal ended
        await asyncio.sleep(random.random() * 2)
        while loop.time() < until:
            gone = asyncio.Event()
            try:
                transport, _ = await loop.create_connection(partial(Client, kind, gone.set), "127.0.0.1", port)
            except OSError:
                await asyncio.sleep(AGAIN_S)
                continue
            try:
                async with asyncio.timeout_at(until):
                    await gone.wait()
                ended += 1
                await asyncio.sleep(AGAIN_S)
            except TimeoutError:
                transport.abort()

    await asyncio.gather(*(one() for _ in range(connections)))
    return ended


if __name__ == "__main__":
    print(uvloop.run(flood(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))))
