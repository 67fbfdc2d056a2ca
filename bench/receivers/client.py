"""A plain HTTP client for where `wrk` is not: many connections, requests made beforehand, one process.

`python -m bench.receivers.client PORT CONNECTIONS SECONDS < requests`; the requests are length-prefixed on stdin.
"""

import asyncio
import json
import struct
import sys
import time
from collections.abc import Iterator
from itertools import cycle
from typing import cast

import httptools
import uvloop

GRACE_S = 30
"""How long after its time a receiver may take for its last answers."""


def framed(requests: list[bytes]) -> bytes:
    """Return the requests as this client reads them from stdin."""
    return b"".join(struct.pack(">I", len(request)) + request for request in requests)


def unframed(data: bytes) -> Iterator[bytes]:
    """Return the requests that `framed` joined."""
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 4 + length]
        at += 4 + length


class Sender(asyncio.Protocol):
    """One connection: a request, its whole response, the next request."""

    def __init__(self, requests: Iterator[bytes], tally: dict[int, int], until: float) -> None:
        """Share the requests and the tally of statuses with the other connections."""
        self._requests = requests
        self._tally = tally
        self._until = until
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first."""
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's says only that it is a base transport
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        """Parse."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Count the response; go on while there is time."""
        status = self._parser.get_status_code()
        self._tally[status] = self._tally.get(status, 0) + 1
        if time.monotonic() < self._until:
            self._parser = httptools.HttpResponseParser(self)
            self._transport.write(next(self._requests))
        else:
            self._transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        """Say that it is over."""
        self.closed.set_result(None)


async def send(port: int, connections: int, seconds: float, requests: list[bytes]) -> dict[str, float]:
    """Send for `seconds`; return the responses a second and how many were not 2xx. Raises TimeoutError."""
    tally: dict[int, int] = {}
    began = time.monotonic()
    endless = cycle(requests)
    loop = asyncio.get_running_loop()
    senders = [
        (await loop.create_connection(lambda: Sender(endless, tally, began + seconds), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    async with asyncio.timeout(seconds + GRACE_S):
        await asyncio.gather(*(sender.closed for sender in senders))
    answered = sum(tally.values())
    refused = sum(count for status, count in tally.items() if status // 100 != 2)
    return {"requests": answered, "rate": answered / (time.monotonic() - began), "refused": refused}


if __name__ == "__main__":
    stdin = list(unframed(sys.stdin.buffer.read()))
    print(json.dumps(uvloop.run(send(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), stdin))))
