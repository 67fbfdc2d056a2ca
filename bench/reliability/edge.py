"""A server's edge seen from outside: a delivery over a new connection, and what the process weighs."""

import asyncio
import socket
import time
from pathlib import Path

from nacl.signing import SigningKey

from tests.support.deliveries import signed

TIMEOUT_S = 5.0


def delivery(body: bytes, key: SigningKey) -> bytes:
    """Return a whole request, signed now, that closes its connection."""
    fields = [*signed(body, at=int(time.time()), key=key), (b"content-length", b"%d" % len(body))]
    lines = [b"POST /webhooks/telnyx HTTP/1.1", b"Host: x", b"Connection: close"]
    return b"\r\n".join([*lines, *(name + b": " + value for name, value in fields), b"", b""]) + body


def deliver(port: int, body: bytes, key: SigningKey) -> int:
    """Post a delivery; return its status, or 0 when the connection was closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as connection:
        connection.sendall(delivery(body, key))
        came = connection.recv(4096)
    return int(came.split()[1]) if came else 0


async def deliver_soon(port: int, body: bytes, key: SigningKey) -> tuple[int, float]:
    """Post a delivery; return its status, 0 when there was none within 5 s, and the seconds that it took."""
    began = time.monotonic()
    status = 0
    try:
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(delivery(body, key))
            came = await reader.read(4096)
            status = int(came.split()[1]) if came else 0
            writer.close()
    except (OSError, TimeoutError):
        pass
    return status, time.monotonic() - began


def rss_mib(pid: int) -> float:
    """Return how much memory a process has in use."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024
