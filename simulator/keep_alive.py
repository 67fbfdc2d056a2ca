"""A keep-alive connection over HTTP/1.1 to one target, on this machine unless another is meant."""

import asyncio
import ipaddress
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

BROKEN = 0
"""Stands for a status where there was none: refused, reset, or no answer in time."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where deliveries go."""

    host: str
    port: int
    path: str
    tls: bool

    @classmethod
    def parse(cls, url: str, *, allow_remote: bool) -> Self:
        """Read a URL. Raises ValueError unless it is HTTP, and on this machine or meant to be on another."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"expected a URL such as http://127.0.0.1:8080/webhooks/telnyx, got {url!r}")
        if not (allow_remote or _is_loopback(parts.hostname)):
            raise ValueError(
                f"{parts.hostname} is not this machine: simulated calls would end up in somebody's real numbers; "
                "post to 127.0.0.1 or localhost, or set allow_remote if that is what you want"
            )
        tls = parts.scheme == "https"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(parts.hostname, parts.port or (443 if tls else 80), path, tls)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class KeepAlive:
    """One keep-alive connection, opened again whenever it is broken or the server closes it."""

    def __init__(self, target: Target, timeout_s: float) -> None:
        self.target, self._timeout_s = target, timeout_s
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._close()

    async def send(self, request: bytes) -> int:
        """Return the answer's status, or `BROKEN`."""
        try:
            async with asyncio.timeout(self._timeout_s):
                if self._streams is not None and self._streams[0].at_eof():
                    self._close()  # the server closed it while it was idle, which is no failure
                if self._streams is None:
                    ssl = True if self.target.tls else None
                    self._streams = await asyncio.open_connection(self.target.host, self.target.port, ssl=ssl)
                reader, writer = self._streams
                writer.write(request)
                status, keep = await _answer(reader)
        except (OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError):
            status, keep = BROKEN, False
        if not keep:
            self._close()
        return status

    def _close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Read one answer; return its status and whether the connection can be used again."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head.split(b" ", 2)[1])
    headers = dict(line.split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    length = headers.get(b"content-length")
    if length is not None:
        await reader.readexactly(int(length))
    bounded = length is not None or status == 204
    return status, bounded and headers.get(b"connection", b"").strip() != b"close"
