"""A client's connection: uvicorn's HTTP protocol, with the deadline and the limit that it lacks.

uvicorn 0.54 holds a connection that sends nothing, or half its headers, for ever, takes headers of any length, and
loses the body of a request that offers to change the protocol. The webhook endpoint bounds the body; uvicorn's
`timeout_keep_alive` bounds the wait between two requests.
"""

import asyncio
import sys

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MAX_HEAD_BYTES = 64 << 10
_TOO_LONG = STATUS_LINE[431] + b"content-length: 0\r\nconnection: close\r\n\r\n"


class BoundedConnection(HttpToolsProtocol):
    """Closes itself when a request's headers are not complete in time, or are too long.

    Too long is noticed between two reads, so headers that come in one read, up to 256 KiB, can still pass.
    """

    head_deadline_s = 10.0
    _head_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _quiet_since = 0.0
    _is_in_head = False
    _received = b""
    _again = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """Start waiting for the first request."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Parse; then, if no request is under way, what came is the beginning of one, or what is left of the last."""
        self._again = data
        while self._again:
            self._received, self._again = self._again, b""
            super().data_received(self._received)
        self._received = b""
        is_idle = self._is_idle()
        if not is_idle and not self._is_in_head:
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_TOO_LONG)
            self.transport.close()
        elif is_idle:
            self._await_head()

    def on_message_begin(self) -> None:
        """A request's first bytes are here."""
        self._is_in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The request has begun: its body has a deadline of its own. Not if it will be read again: see below."""
        if self._offers_another_protocol():
            return
        self._is_in_head = False
        self._head_bytes = 0
        self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is here."""
        if not self._offers_another_protocol():
            super().on_message_complete()

    def _offers_another_protocol(self) -> bool:
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"  # which is no offer

    def _unsupported_upgrade_warning(self) -> None:
        """Have the request read again without its offer to change the protocol, which a server is free to ignore.

        The parser takes what follows the headers for the other protocol, so a signed body would look like none.
        """
        (body_at,) = sys.exc_info()[1].args  # type: ignore[union-attr] # called where HttpParserUpgrade is handled
        version = self.parser.get_http_version().encode()
        request = [self.parser.get_method(), b" ", self.url, b" HTTP/", version, b"\r\n"]
        for name, value in self.headers:
            if name != b"upgrade":
                request += [name, b": ", value, b"\r\n"]
        request += [b"\r\n", self._received[body_at:]]
        self.parser = httptools.HttpRequestParser(self)
        self._again = b"".join(request)

    def on_response_complete(self) -> None:
        """Go on with the next request if it is here, else wait for it: as uvicorn does, but with one timer for many.

        If half a request is here already, or the answered one's body goes on, that is not a keep-alive wait.
        """
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._quiet_since = self.loop.time()
            if self.timeout_keep_alive_task is None:
                self._await_request(self.timeout_keep_alive)
        if self._is_idle() and (self._is_in_head or self.cycle.more_body):
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines."""
        self._stop_waiting()
        super()._unset_keepalive_if_required()
        super().connection_lost(exc)

    def timeout_keep_alive_handler(self) -> None:
        """Close if it was quiet for so long; if there were requests meanwhile, look again when it may be.

        Not while a request is under way or has begun: it has deadlines of its own, and its answer starts this anew.
        """
        self.timeout_keep_alive_task = None
        if not self._is_idle() or self._head_timer is not None:
            return
        left = self._quiet_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._await_request(left)
        else:
            super().timeout_keep_alive_handler()

    def _unset_keepalive_if_required(self) -> None:
        """Leave the timer alone: it finds out by itself whether it was quiet."""

    def _await_request(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _await_head(self) -> None:
        if self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(self.head_deadline_s, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
