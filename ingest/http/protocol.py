"""A client's connection: reads one request at a time, and has it answered.

A request is refused on its head where that is possible, its body is gathered within bounds, and only a complete request
is handed on. A request that is sent before its turn waits unread. uvicorn's server makes an HttpConnection for each
connection.
"""

import asyncio
from typing import Any

import structlog
from starlette.types import ASGIApp

from ingest.http.admission import Admission, AdmittedDelivery
from ingest.http.answers import COME_AGAIN, CONTINUE, TOO_LARGE, TOO_SLOW, Answer
from ingest.http.bodies import Body, TooLargeError, body_of
from ingest.http.connections import Connections, ConnectionState
from ingest.http.exchange import AsgiExchange
from ingest.http.request import Head, HeadReader, RefusedRequestError
from ingest.http.stream import ClientStream
from ingest.http.turns import Turns
from ingest.metrics import DeliveryOutcome, HttpMetrics, Shed

log = structlog.get_logger("ingest")

_CUT_OFF = {
    DeliveryOutcome.TOO_SLOW: TOO_SLOW,
    DeliveryOutcome.TOO_LARGE: TOO_LARGE,
    DeliveryOutcome.OVERLOADED: COME_AGAIN,
}
_FAILED = Answer.of(500, b"Internal Server Error\n", closes=True)


class HttpConnection(ClientStream):
    """One connection: the request that it reads or answers."""

    def __init__(
        self,
        *,
        app: ASGIApp,
        site: Admission,
        connections: Connections,
        turns: Turns,
        metrics: HttpMetrics,
        ours: set[Any],
        tasks: set[asyncio.Task[None]],
    ) -> None:
        """Serve the site and the application; `ours` and `tasks` are the sets that uvicorn's server waits for."""
        super().__init__(connections=connections, turns=turns, ours=ours)
        self._app = app
        self._site = site
        self._metrics = metrics
        self._tasks = tasks
        self._reader = HeadReader()
        self._head: Head | None = None
        self._delivery: AdmittedDelivery | None = None
        self._body: Body | None = None
        self._exchange: AsgiExchange | None = None

    def connection_lost(self, _: Exception | None) -> None:
        """Forget the connection; a complete delivery is kept nevertheless."""
        self._ours.discard(self)
        if self._body is not None:
            self._cut_off(DeliveryOutcome.DISCONNECTED)
        self._reader.forget()
        self._connections.forget(self)
        if self._exchange is not None:
            self._exchange.client_gone()
        self.resume_writing()

    def shutdown(self) -> None:
        """Close; where a request is under way, after its answer."""
        self._is_stopping = True
        if not self._is_answering and self._body is None:
            self._close()

    def end(self, why: Shed) -> None:
        """Close, because the connections' registry says so."""
        if self._is_answering and why is Shed.BYTES:
            self._pending, self._is_stopping = b"", True
            return
        if self._body is not None:
            outcome = DeliveryOutcome.TOO_SLOW if why is Shed.BODY_LATE else DeliveryOutcome.OVERLOADED
            self._cut_off(outcome)
            self._write(_CUT_OFF[outcome].closing)
        self._connections.forget(self)
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()

    def _read(self, data: bytes) -> None:
        """Read one request, or a part of it; keep the bytes after it."""
        try:
            at = self._read_head(data) if self._body is None else 0
            if self._body is not None:
                self._read_body(self._body, data, at)
        except RefusedRequestError as refused:
            self._refuse(refused.answer, DeliveryOutcome.MALFORMED)
        except TooLargeError:
            self._refuse(TOO_LARGE, DeliveryOutcome.TOO_LARGE)

    def _read_head(self, data: bytes) -> int:
        """Read on in a head; return where it ends. When it is complete and not refused there is a body to be read."""
        at = self._reader.feed(data)
        head = self._reader.head
        if head is not None:
            self._begin(head)
            return at
        if self.state is not ConnectionState.SILENT and self._reader.size:
            self._connections.move(self, ConnectionState.HEAD)
        self._connections.hold(self, self._reader.size)
        return at

    def _read_body(self, body: Body, data: bytes, at: int) -> None:
        """Read on in a body; have the request answered when it is complete."""
        if not body.is_complete:
            at = body.feed(data, at)
        if body.is_complete:
            self._answer(data[at:])
            return
        self._connections.move(self, ConnectionState.BODY)
        self._connections.hold(self, body.held)
        self._wait_for_turn(len(data))

    def _begin(self, head: Head) -> None:
        """Decide on the head: refuse it, or expect its body."""
        self._head, self._reader = head, HeadReader()
        admitted = self._site.admit(head, port=self._port)
        if isinstance(admitted, Answer):
            self._send_last(admitted)
            return
        self._delivery = admitted
        self._body = body_of(head)
        if head.expects_continue and not self._body.is_complete:
            self._write(CONTINUE)

    def _answer(self, rest: bytes) -> None:
        """Have the complete request answered; `rest` is the beginning of the next one."""
        head, body, delivery = self._head, self._body, self._delivery
        if head is None or body is None:
            return
        self._body = self._delivery = None
        self._buffer = self._turns.first
        self._is_answering = True
        self._connections.hold(self, 0)
        self._connections.move(self, ConnectionState.ANSWER)
        if rest:
            self._keep(rest)
        if delivery is not None:
            work = self._deliver(delivery, body.content(), head)
        else:
            work = self._serve(head, body.content())
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, delivery: AdmittedDelivery, body: bytes, head: Head) -> None:
        try:
            answer = await delivery.take(body)
        except Exception:
            log.exception("delivery_failed")
            answer = _FAILED
        keeps_alive = head.keeps_alive and not self._is_stopping and not answer.closes
        self._write(answer.kept_alive if keeps_alive else answer.closing)
        self._finish_answer(keeps_alive=keeps_alive)

    async def _serve(self, head: Head, body: bytes) -> None:
        exchange = self._exchange = AsgiExchange(head, body, write=self._write, drain=self._drain)
        exchange.keeps_alive = exchange.keeps_alive and not self._is_stopping
        try:
            await exchange.run(self._app)
        except Exception as error:
            if self.state is not None:
                log.exception("request_failed", path=head.path, error=type(error).__name__)
        if not exchange.is_begun:
            self._write(_FAILED.last(head.method))
        self._exchange = None
        self._finish_answer(keeps_alive=exchange.is_complete and exchange.keeps_alive)

    def _refuse(self, answer: Answer, outcome: DeliveryOutcome) -> None:
        """Refuse an unreadable request, and count it, as a delivery if it is one."""
        if self._delivery is not None:
            self._cut_off(outcome)
        else:
            self._metrics.refused(answer.status)
        self._send_last(answer)

    def _send_last(self, answer: Answer) -> None:
        """Answer before the request is complete, and close."""
        self._close_after(answer.last(self._head.method if self._head else ""))

    def _cut_off(self, outcome: DeliveryOutcome) -> None:
        """Give the body up."""
        if self._delivery is not None:
            self._delivery.cut_off(outcome)
        self._body = self._delivery = None
