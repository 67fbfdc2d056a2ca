"""Checking signatures in a process of its own, which leaves the event loop its time.

A check takes twice as long as all other work on a delivery, and a thread would have to take the interpreter lock back
after each. Deliveries that arrive together are checked together: one write, one answer. Where the process is gone, not
ready or stuck, the loop checks by itself, so no delivery depends on the process.
"""

import asyncio
import socket
import subprocess
import sys
from collections import deque
from typing import NamedTuple, cast

import structlog

from eventlog.signature_headers import SignatureHeaders
from ingest.signing import checker_process
from ingest.signing.checker_process import LENGTH, NO_KEY
from ingest.signing.signature import Verifier

START_AGAIN_S = 1.0

_POLL_S = 0.1
_MAX_POLLS = 7
"""A process that owes answers and gave none for so many polls is killed: a delivery is given up on after 1.5 s.

Polls are counted, not time: where the loop itself stood still, answers may be waiting to be read.
"""

_JOINED_BYTES = 64 << 10
"""Small bodies are cheaper to write in one piece; larger ones are not copied."""

log = structlog.get_logger("ingest")


class _Check(NamedTuple):
    body: bytes
    headers: SignatureHeaders
    answer: "asyncio.Future[int | None]"


class Checker(asyncio.Protocol):
    """A Verifier's `matching_key`, answered from another process. Made and used on one event loop."""

    def __init__(self, verifier: Verifier) -> None:
        """Name the keys; `start` starts the process."""
        self._verifier = verifier
        self._loop = asyncio.get_running_loop()
        self._gathered: list[_Check] = []
        self._sent: deque[_Check] = deque()
        self._process: subprocess.Popen[bytes] | None = None
        self._opened: asyncio.WriteTransport | None = None
        self._transport: asyncio.WriteTransport | None = None  # the same, while there is a process that answers
        self._polls = 0
        self._next_poll: asyncio.TimerHandle | None = None
        self._is_closing = False
        self._restart: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the process; raise OSError when there can be none."""
        ours, theirs = socket.socketpair()
        with theirs:
            keys = [bytes(key).hex() for key in self._verifier.keys]
            command = [sys.executable, "-m", checker_process.__name__, str(theirs.fileno()), *keys]
            # Blocks for a few milliseconds, once; nothing in the command came from outside.
            self._process = subprocess.Popen(  # noqa: ASYNC220, S603
                command, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL
            )
        await self._loop.create_unix_connection(lambda: self, sock=ours)

    def matching_key(self, body: bytes, headers: SignatureHeaders) -> "asyncio.Future[int | None]":
        """Return the index of the verifier's key that signed the body at the headers' time; None if none did."""
        answer: asyncio.Future[int | None] = self._loop.create_future()
        if self._transport is None:
            answer.set_result(self._verifier.matching_key(body, headers))
            return answer
        if not self._gathered:
            self._loop.call_soon(self._send)
        self._gathered.append(_Check(body, headers, answer))
        return answer

    @property
    def pid(self) -> int | None:
        """The process that checks now; None while there is none."""
        return None if self._process is None or self._transport is None else self._process.pid

    async def close(self) -> None:
        """End the process."""
        self._is_closing = True
        if self._restart is not None:
            await self._restart
        if self._opened is not None:
            self._opened.close()
        if self._process is not None:
            await asyncio.to_thread(_wait_or_kill, self._process)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; the process's first byte says that it is ready."""
        self._opened = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        """Give the checks their answers, a byte each in order; the very first byte says that the process is ready."""
        self._polls = 0
        if self._transport is None:
            self._transport, data = self._opened, data[1:]
        for index in data:
            check = self._sent.popleft()
            if not check.answer.done():
                check.answer.set_result(None if index == NO_KEY else index)

    def connection_lost(self, _: Exception | None) -> None:
        """Check the unanswered deliveries here, and start another process."""
        self._opened = self._transport = None
        unanswered = [*self._sent, *self._gathered]
        self._sent.clear()
        self._gathered.clear()
        for check in unanswered:
            if not check.answer.done():
                check.answer.set_result(self._verifier.matching_key(check.body, check.headers))
        if not self._is_closing:
            log.error("checker_lost", unanswered=len(unanswered), again_in_s=START_AGAIN_S)
            self._loop.call_later(START_AGAIN_S, self._start_again)

    def _send(self) -> None:
        if self._transport is None:
            return
        parts: list[bytes] = []
        largest = 0
        for body, headers, _ in self._gathered:
            beginning = headers.signed_message(b"")
            parts += (LENGTH.pack(len(beginning) + len(body)), headers.signature, beginning, body)
            largest = max(largest, len(body))
        self._sent += self._gathered
        self._gathered.clear()
        if largest <= _JOINED_BYTES:
            self._transport.write(b"".join(parts))
        else:
            self._transport.writelines(parts)
        if self._next_poll is None:
            self._polls = 0
            self._next_poll = self._loop.call_later(_POLL_S, self._poll)

    def _poll(self) -> None:
        """Kill the process if it is stuck; `connection_lost` follows, as after any other end."""
        self._next_poll = None
        if not self._sent or self._process is None:
            return
        self._polls += 1
        if self._polls < _MAX_POLLS:
            self._next_poll = self._loop.call_later(_POLL_S, self._poll)
        else:
            log.error("checker_stuck", unanswered=len(self._sent))
            self._process.kill()

    def _start_again(self) -> None:
        if self._is_closing:
            return
        if self._process is not None:
            self._process.poll()  # reaps it
        self._restart = self._loop.create_task(self._try_again())

    async def _try_again(self) -> None:
        try:
            await self.start()
        except OSError as error:
            log.error("checker_not_started", reason=str(error), again_in_s=START_AGAIN_S)
            self._loop.call_later(START_AGAIN_S, self._start_again)


def _wait_or_kill(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process to end, and kill it where it does not."""
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
