"""Where summaries go to in tests: a real mail server and a real web server on this machine, as ill as one wants."""

import asyncio
import email
import email.policy
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

OK = "250 taken"
SILENT = "silence"
GONE = "gone"
SILENCE_S = 1.5
"""Longer than any client here waits for an answer."""


@dataclass
class MailServer:
    """What came, whole, to whom, and what to answer to it: `answers` are taken one after the other, then OK."""

    answers: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    came: list[EmailMessage] = field(default_factory=list)
    to: list[list[str]] = field(default_factory=list)
    on_mail: Callable[[], None] = lambda: None
    port: int = 0

    def url(self, *addresses: str, more: str = "") -> str:
        """The apprise URL of this server."""
        return f"mailto://127.0.0.1:{self.port}/?from=holdtime@example.com&to={','.join(addresses)}&cto=1{more}"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if answer := self.refused.get(address):
            return answer
        envelope.rcpt_tos.append(address)
        return OK

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        parsed = email.message_from_bytes(bytes(envelope.original_content or b""), policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        self.came.append(parsed)
        self.to.append(list(envelope.rcpt_tos))
        self.on_mail()
        answer = self.answers.pop(0) if self.answers else OK
        if answer == SILENT:
            await asyncio.sleep(SILENCE_S)
        elif answer == GONE:
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
        return answer if answer[0].isdigit() else OK


@dataclass
class WebServer:
    """What was posted, whole, and what to answer: `answers` are taken one after the other, then 200; 0 is silence."""

    answers: list[int | str] = field(default_factory=list)
    came: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    on_post: Callable[[], None] = lambda: None
    after_answer: Callable[[], None] = lambda: None
    port: int = 0

    def url(self, path: str = "hook") -> str:
        """The apprise URL of this server."""
        return f"json://127.0.0.1:{self.port}/{path}?rto=1"


@contextmanager
def a_mail_server(*answers: str) -> Iterator[MailServer]:
    """A mail server; answers are SMTP replies, SILENT, or GONE for a connection that is lost."""
    handler = MailServer(list(answers), port=a_free_port())
    controller = Controller(handler, hostname="127.0.0.1", port=handler.port)
    controller.start()
    try:
        yield handler
    finally:
        controller.stop()


@contextmanager
def a_web_server(*answers: int | str, at: int = 0) -> Iterator[WebServer]:
    """A web server, at a port; answers are status codes, SILENT, or GONE for a connection that is lost."""
    taken = WebServer(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.came.append(json.loads(body))
            taken.headers.append(dict(self.headers.items()))
            taken.on_post()
            answer = taken.answers.pop(0) if taken.answers else 200
            if answer == GONE:
                self.connection.close()
                return
            if answer == SILENT:
                time.sleep(SILENCE_S)
                return
            self.send_response(int(answer))
            self.send_header("Content-Length", "0")
            self.end_headers()
            self.wfile.flush()
            taken.after_answer()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", at), Handler) as server:
        taken.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield taken
        finally:
            server.shutdown()
            thread.join()


def a_free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
