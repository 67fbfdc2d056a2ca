"""One request and its answer through an ASGI application; the request's body is complete before it begins."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Message, Scope

from ingest.http.answers import status_line
from ingest.http.request import Head

_BODYLESS = frozenset((204, 304))


class AsgiExchange:
    """Hands a request to an application, and its answer to a connection."""

    def __init__(
        self, head: Head, body: bytes, *, write: Callable[[bytes], None], drain: Callable[[], Awaitable[None]]
    ) -> None:
        """Answer with `write`, before which `drain` waits for the client to read."""
        self._head = head
        self._body: bytes | None = body
        self._write = write
        self._drain = drain
        self._gone = asyncio.Event()
        self._is_begun = self._is_chunked = False
        self.keeps_alive = head.keeps_alive
        self.is_complete = False

    @property
    def is_begun(self) -> bool:
        """Whether any of the answer was sent."""
        return self._is_begun

    async def run(self, app: ASGIApp) -> None:
        """Have the application answer."""
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": self._head.version,
            "method": self._head.method,
            "scheme": "http",
            "path": self._head.path,
            "raw_path": self._head.raw_path,
            "query_string": self._head.query,
            "root_path": "",
            "headers": self._head.headers,
            "client": None,
            "server": None,
        }
        await app(scope, self._receive, self._send)

    def client_gone(self) -> None:
        """Note that the client is gone, and nobody waits for the answer."""
        self._gone.set()

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        await self._drain()
        if self._gone.is_set():
            raise OSError("the client is gone")  # as ASGI has it
        if message["type"] == "http.response.start":
            self._begin(message)
        else:
            self._go_on(message.get("body", b""), is_last=not message.get("more_body", False))

    def _begin(self, message: Message) -> None:
        status: int = message["status"]
        headers = list(message.get("headers", []))
        names = {name.lower() for name, _ in headers}
        if (b"connection", b"close") in headers:
            headers.remove((b"connection", b"close"))
            self.keeps_alive = False
        if b"content-length" not in names and status not in _BODYLESS:
            if self._head.version == "1.0":
                self.keeps_alive = False  # the end of the connection is the end of the answer
            else:
                self._is_chunked = True
                headers.append((b"transfer-encoding", b"chunked"))
        if not self.keeps_alive:
            headers.append((b"connection", b"close"))
        self._is_begun = True
        self._write(status_line(status) + b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n")

    def _go_on(self, body: bytes, *, is_last: bool) -> None:
        if self._head.method != "HEAD":
            if not self._is_chunked:
                self._write(body)
            elif body:
                self._write(b"%x\r\n%b\r\n" % (len(body), body))
            if is_last and self._is_chunked:
                self._write(b"0\r\n\r\n")
        self.is_complete = is_last
        if is_last:
            self._gone.set()
