"""The whole application on a real socket: hostile connections, the other endpoints, and draining."""

import asyncio
import contextlib
import json
import random
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from uvicorn import Server

from eventlog.sqlite.log import SqliteLog
from ingest.app import build, serve_config
from ingest.http.limits import Limits
from ingest.metrics import METRICS, DeliveryOutcome, IngestMetrics
from ingest.signing.signature import Verifier
from ingest.site import Site
from ingest.webhook import ANSWERS, WebhookEndpoint
from tests.support.deliveries import (
    EVENT,
    KEY,
    OTHER_KEY,
    signed,
)
from tests.support.mangled_http import conversation
from tests.support.waiting import until

CRLF = b"\r\n"


@dataclass
class Running:
    """A server with short deadlines, in a thread of its own."""

    port: int
    app: Site
    log: SqliteLog
    unready: str | None = None
    since: dict[int, int] = field(default_factory=dict)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def exchange(self, *parts: bytes) -> bytes:
        """Send the parts, and return everything that comes until the server closes."""
        with self.connect() as connection:
            for part in parts:
                connection.sendall(part)
            return everything(connection)

    def get(self, path: str) -> tuple[int, str]:
        """Return the status and the body of a GET."""
        request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        head, _, body = self.exchange(request.encode()).partition(CRLF + CRLF)
        return int(head.split()[1]), body.decode()

    def stored(self) -> list[bytes]:
        """Return the bodies that came into the log since the test began."""
        return list(self.log.read(self.since, 1000).bodies)


def everything(connection: socket.socket) -> bytes:
    came = b""
    with contextlib.suppress(ConnectionResetError):
        while more := connection.recv(65_536):
            came += more
    return came


def statuses(came: bytes) -> list[int]:
    """Return the status of every response in what came."""
    return [int(line.split()[1]) for line in came.split(CRLF) if line.startswith(b"HTTP/1.1 ")]


def head(*headers: tuple[bytes, bytes], path: bytes = b"/webhooks/telnyx") -> bytes:
    lines = [b"POST " + path + b" HTTP/1.1", b"Host: x", *(name + b": " + value for name, value in headers)]
    return CRLF.join(lines) + CRLF + CRLF


def delivery(body: bytes, *more: tuple[bytes, bytes]) -> bytes:
    """Return a whole request, signed now."""
    return head(*signed(body, at=int(time.time())), (b"content-length", b"%d" % len(body)), *more) + body


CLOSE = (b"connection", b"close")


@contextlib.contextmanager
def served(folder: Path, keep_alive_s: int = 75) -> Iterator[Running]:
    registry = CollectorRegistry()
    metrics = IngestMetrics(registry)
    log = SqliteLog(folder / "log.sqlite", on_commit=metrics.group_committed)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await log.start()
        yield
        await log.close()

    webhook = WebhookEndpoint(verifier=Verifier((KEY.verify_key,)), appender=log, metrics=metrics)
    server_is = Running(0, None, log)  # type: ignore[arg-type] # the app needs what the fixture gives
    app = build(
        webhook,
        registry=registry,
        unready=lambda: server_is.unready,
        status=lambda: {"log_end": log.end().get(0, 0)},
        lifespan=lifespan,
    )
    limits = Limits(head_s=1.0, body_s=0.3, idle_s=keep_alive_s, reading_s=1.0)
    server = Server(serve_config(app, host="127.0.0.1", port=0, limits=limits))
    thread = threading.Thread(target=server.run)
    thread.start()
    give_up = time.monotonic() + 10
    while not server.started and thread.is_alive() and time.monotonic() < give_up:
        time.sleep(0.01)
    assert server.started, "the server did not start within 10 s"
    server_is.app, server_is.port = app, server.servers[0].sockets[0].getsockname()[1]
    try:
        yield server_is
    finally:
        server.should_exit = True
        thread.join(20)
    assert not thread.is_alive(), "the server did not stop within 20 s"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with served(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def running(shared: Running) -> Running:
    """The module's server, which all of these tests must leave well; the log is seen from here on."""
    shared.since, shared.unready = shared.log.end(), None
    return shared


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Running]:
    """A server of the test's own."""
    with served(tmp_path) as server:
        yield server


def test_a_delivery_over_a_socket_is_stored_and_a_forgery_is_not(running: Running) -> None:
    assert statuses(running.exchange(delivery(EVENT, CLOSE))) == [200]
    forged = head(*signed(EVENT, at=int(time.time()), key=OTHER_KEY), (b"content-length", b"%d" % len(EVENT)), CLOSE)
    assert statuses(running.exchange(forged + EVENT)) == [401]
    assert running.stored() == [EVENT]


def test_pipelined_deliveries_are_all_answered_and_stored_in_order(running: Running) -> None:
    bodies = [b"%d" % number for number in range(5)]
    requests = [delivery(body) for body in bodies[:-1]] + [delivery(bodies[-1], CLOSE)]
    assert statuses(running.exchange(b"".join(requests))) == [200] * 5
    assert running.stored() == bodies


def test_a_chunked_delivery_is_stored_whole(running: Running) -> None:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (EVENT[:7], EVENT[7:]))
    request = head(*signed(EVENT, at=int(time.time())), (b"transfer-encoding", b"chunked"), CLOSE)
    assert statuses(running.exchange(request, chunks, b"0\r\n\r\n")) == [200]
    assert running.stored() == [EVENT]


def test_a_delivery_that_arrives_byte_by_byte_is_stored(running: Running) -> None:
    request = delivery(b"[]", CLOSE)
    assert statuses(running.exchange(*(request[at : at + 1] for at in range(len(request))))) == [200]


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket"])
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_an_offer_to_change_the_protocol_is_ignored(running: Running, protocol: bytes, step: int) -> None:
    offer = ((b"connection", b"Upgrade, HTTP2-Settings"), (b"upgrade", protocol), (b"http2-settings", b"AAMAAABk"))
    chunked = head(*signed(b"[2]", at=int(time.time())), (b"transfer-encoding", b"chunked"), *offer)
    sent = delivery(b"[1]", *offer) + chunked + b"3\r\n[2]\r\n0\r\n\r\n" + delivery(b"[3]", CLOSE)
    assert statuses(running.exchange(*(sent[at : at + step] for at in range(0, len(sent), step)))) == [200] * 3
    assert running.stored() == [b"[1]", b"[2]", b"[3]"]


def test_a_chunked_body_over_the_limit_is_413_and_the_connection_is_closed(fresh: Running) -> None:
    request = head(*signed(EVENT, at=int(time.time())), (b"transfer-encoding", b"chunked"))
    with fresh.connect() as connection:
        connection.sendall(request)
        with contextlib.suppress(ConnectionError):
            for _ in range(64):
                connection.sendall(b"10000\r\n" + b"x" * 65_536 + CRLF)
        assert statuses(everything(connection)) == [413]
    assert fresh.stored() == []
    assert 'outcome="too_large"} 1.0' in fresh.get("/metrics")[1]


def test_a_declared_length_over_the_limit_is_413(running: Running) -> None:
    request = head(*signed(EVENT, at=int(time.time())), (b"content-length", b"1048577"))
    came = running.exchange(request)
    assert statuses(came) == [413]
    assert b"connection: close" in came


@pytest.mark.parametrize("part", [b"", EVENT[:9]])
def test_a_body_that_stops_is_408_and_the_connection_is_closed(running: Running, part: bytes) -> None:
    request = head(*signed(EVENT, at=int(time.time())), (b"content-length", b"%d" % len(EVENT)))
    assert statuses(running.exchange(request, part)) == [408]
    assert running.stored() == []


@pytest.mark.parametrize("part", [b"", b"POST /webh", b"POST /webhooks/telnyx HTTP/1.1\r\nHost: x\r\nA", b"\r\n" * 5])
def test_a_connection_that_does_not_finish_its_headers_is_closed(running: Running, part: bytes) -> None:
    assert statuses(running.exchange(part)) == []


def test_headers_that_trickle_do_not_buy_time(running: Running) -> None:
    def trickle(connection: socket.socket) -> None:
        for at in range(1000):
            connection.sendall(b"POST /webhooks/telnyx HTTP/1.1\r\nA:"[at : at + 1] or b"b")
            time.sleep(0.02)

    with running.connect() as connection, pytest.raises(ConnectionError):
        trickle(connection)


def test_the_deadline_holds_for_the_second_request_of_a_connection_too(running: Running) -> None:
    assert statuses(running.exchange(delivery(EVENT), b"POST /webhooks/telnyx HTTP/1.1\r\nHost")) == [200]


def test_a_connection_is_closed_when_it_was_quiet_for_long_and_not_before(tmp_path: Path) -> None:
    with served(tmp_path, keep_alive_s=1) as server, server.connect() as connection:
        for _ in range(4):  # together longer than it may be quiet
            connection.sendall(delivery(EVENT))
            assert statuses(connection.recv(65_536)) == [200]
            time.sleep(0.6)
        half = delivery(EVENT)
        connection.sendall(half[:40])
        time.sleep(0.6)  # quiet for longer than that, but for the beginning of a request
        connection.sendall(half[40:])
        assert statuses(everything(connection)) == [200]


def test_a_body_that_goes_on_after_its_answer_does_not_hold_the_connection(running: Running) -> None:
    request = head((b"content-length", b"100000"), path=b"/elsewhere")
    assert statuses(running.exchange(request, b"x" * 10)) == [404]


@pytest.mark.parametrize("large", [(b"a" * 700_000, b"b"), (b"a", b"b" * 5_000_000)])
def test_headers_that_are_far_too_long_are_refused(running: Running, large: tuple[bytes, bytes]) -> None:
    with running.connect() as connection, contextlib.suppress(ConnectionError):
        for at in range(0, 10_000_000, 65_536):
            connection.sendall(head(large)[at : at + 65_536])
        assert statuses(everything(connection)) in ([431], [])


def test_a_sender_that_vanishes_mid_body_leaves_the_server_well(running: Running) -> None:
    with running.connect() as connection:
        connection.sendall(head(*signed(EVENT, at=int(time.time())), (b"content-length", b"999")) + b"x")
    assert statuses(running.exchange(delivery(EVENT, CLOSE))) == [200]
    assert running.stored() == [EVENT]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"CONNECT / HTTP/1.1\r\n\r\n", 405),
        (b"CONNECT example.com:443 HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", 405),
        (b"POST /webhooks/telnyx HTTP/2.0\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (head((b"content-length", b"5"), (b"transfer-encoding", b"chunked")) + b"0\r\n\r\n", 400),
        (head(path=b"/webhooks%2ftelnyx"), 400),
        (head(path=b"/nowhere"), 404),
        (head((b"content-length", b"100000"), path=b"/nowhere") + b"x" * 10, 404),
        (b"GET /webhooks/telnyx HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
        (head((b"x", b"x" * 66_000)), 431),
    ],
)
def test_a_refusal_is_answered_once_and_closes_the_connection(running: Running, sent: bytes, expected: int) -> None:
    came = running.exchange(sent + delivery(EVENT))
    assert statuses(came) == [expected]
    assert b"\r\nconnection: close\r\n" in came
    assert running.stored() == [], "what follows a refusal is not read"


def test_the_answer_to_a_head_request_has_no_text(running: Running) -> None:
    for path in ("/webhooks/telnyx", "/nowhere", "/livez", "/metrics"):
        came = running.exchange(f"HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert came.partition(CRLF + CRLF)[2] == b""


def test_signature_headers_in_a_trailer_do_not_count(running: Running) -> None:
    in_trailer = b"".join(name + b": " + value + CRLF for name, value in signed(EVENT, at=int(time.time()))[1:])
    request = head((b"transfer-encoding", b"chunked"), (b"trailer", b"telnyx-timestamp, telnyx-signature-ed25519"))
    came = running.exchange(request, b"%x\r\n%b\r\n0\r\n" % (len(EVENT), EVENT), in_trailer, CRLF)
    assert statuses(came) == [400]
    forged = head(*signed(EVENT, key=OTHER_KEY), (b"transfer-encoding", b"chunked"), CLOSE)
    came = running.exchange(forged, b"%x\r\n%b\r\n0\r\n" % (len(EVENT), EVENT), in_trailer, CRLF)
    assert statuses(came) == [401]
    assert running.stored() == []


def test_a_malformed_chunk_is_400_and_counted_as_a_delivery(fresh: Running) -> None:
    request = head(*signed(EVENT, at=int(time.time())), (b"transfer-encoding", b"chunked"))
    assert statuses(fresh.exchange(request, b"nonsense\r\n")) == [400]
    assert 'holdtime_ingest_deliveries_total{outcome="malformed"} 1.0' in fresh.get("/metrics")[1]


def test_a_client_that_waits_for_leave_to_send_its_body_gets_it(running: Running) -> None:
    expects = (b"expect", b"100-continue")
    request = delivery(EVENT, expects, CLOSE)
    with running.connect() as connection:
        connection.sendall(request[: -len(EVENT)])
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(EVENT)
        assert statuses(everything(connection)) == [200]
    too_large = head(*signed(EVENT, at=int(time.time())), (b"content-length", b"1048577"), expects)
    assert statuses(running.exchange(too_large)) == [413], "and a refusal at once where it would be in vain"


def test_http_1_0_is_answered_and_closed(running: Running) -> None:
    request = delivery(EVENT, (b"connection", b"keep-alive")).replace(b"HTTP/1.1", b"HTTP/1.0")
    assert statuses(running.exchange(request + request)) == [200]
    assert b"\r\n\r\nalive\n" in running.exchange(b"GET /livez HTTP/1.0\r\n\r\n")


@pytest.mark.parametrize("path", [b"/webhooks/telnyx/", b"//webhooks/telnyx", b"/webhooks/telnyx?attempt=1"])
def test_spellings_of_the_webhooks_path_are_taken(running: Running, path: bytes) -> None:
    request = head(*signed(EVENT, at=int(time.time())), (b"content-length", b"%d" % len(EVENT)), CLOSE, path=path)
    assert statuses(running.exchange(request + EVENT)) == [200]
    assert running.stored() == [EVENT]


def test_a_client_that_sends_no_more_is_answered_still(running: Running) -> None:
    with running.connect() as connection:
        connection.sendall(delivery(EVENT))
        connection.shutdown(socket.SHUT_WR)
        assert statuses(everything(connection)) == [200]
    assert running.stored() == [EVENT]


def test_a_body_of_a_mebibyte_in_small_pieces_is_stored_whole(running: Running) -> None:
    body = b"0123456789abcdef" * 65_536
    sent = delivery(body, CLOSE)
    assert statuses(running.exchange(*(sent[at : at + 5000] for at in range(0, len(sent), 5000)))) == [200]
    assert running.stored() == [body]


def test_a_refused_client_that_goes_on_sending_reads_its_answer(running: Running) -> None:
    with running.connect() as connection:
        connection.sendall(head(*signed(EVENT, at=int(time.time())), (b"content-length", b"2000000")))
        for _ in range(10):
            connection.sendall(b"x" * 50_000)
        assert statuses(everything(connection)) == [413]


def test_a_client_that_does_not_read_is_closed_and_costs_others_nothing(fresh: Running) -> None:
    with fresh.connect() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(1.0)
        with contextlib.suppress(TimeoutError, ConnectionError):
            for _ in range(10_000):
                deaf.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
        assert statuses(fresh.exchange(delivery(EVENT, CLOSE))) == [200]

        def metrics() -> str:
            return fresh.get("/metrics")[1]

        until(lambda: 'connections_shed_total{why="reader_late"} 1.0' in metrics(), metrics)


def test_requests_that_were_sent_before_their_turn_wait_for_it(fresh: Running) -> None:
    """Else a thousand connections full of requests would be served before a delivery that comes alone."""
    many = [fresh.connect() for _ in range(30)]
    for each in many:
        each.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 400)
    with fresh.connect() as connection:
        connection.sendall(delivery(b"alone"))
        assert statuses(connection.recv(1000)) == [200]
    answered = 0
    for each in many:
        with each, contextlib.suppress(BlockingIOError):
            each.setblocking(False)
            answered += len(statuses(each.recv(1 << 20)))
    assert answered < 30 * 400 // 2


def test_many_who_ask_for_pages_at_once_are_answered_and_deliveries_too(fresh: Running) -> None:
    with contextlib.ExitStack() as stack:
        asking = [stack.enter_context(fresh.connect()) for _ in range(100)]
        for connection in asking:
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert statuses(fresh.exchange(delivery(EVENT, CLOSE))) == [200]
        found = {statuses(everything(connection))[0] for connection in asking}
    assert 200 in found
    assert found <= {200, 503}


@given(rng=st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_request_stops_it_or_is_stored(running: Running, rng: random.Random) -> None:
    with running.connect() as connection, contextlib.suppress(ConnectionError):
        for piece in conversation(rng):
            connection.sendall(piece)
        with contextlib.suppress(OSError):  # reset meanwhile
            connection.shutdown(socket.SHUT_WR)
        everything(connection)
    assert running.stored() == []
    assert running.get("/livez")[0] == 200


def test_the_other_endpoints_answer(fresh: Running) -> None:
    fresh.exchange(delivery(EVENT, CLOSE))
    assert fresh.get("/livez")[0] == 200
    assert fresh.get("/readyz") == (200, "ready\n")
    assert json.loads(fresh.get("/status")[1]) == {"log_end": 1}
    assert fresh.get("/nothing")[0] == 404
    assert fresh.get("/livez/")[0] == 404, "a redirect is nothing that a webhook sender follows"
    fresh.unready = "the log is full"
    assert fresh.get("/readyz") == (503, "not ready: the log is full\n")


def test_metrics_name_every_outcome_and_carry_their_meanings(fresh: Running) -> None:
    fresh.exchange(delivery(EVENT, CLOSE))
    status, text = fresh.get("/metrics")
    assert status == 200
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert {metric.name: metric.meaning for metric in METRICS} == {
        name: family.documentation for name, family in families.items()
    }
    deliveries = {sample.labels["outcome"]: sample.value for sample in families["holdtime_ingest_deliveries"].samples}
    assert deliveries == {outcome.value: float(outcome is DeliveryOutcome.ACCEPTED) for outcome in DeliveryOutcome}
    append = {sample.name: sample.value for sample in families["holdtime_ingest_append_seconds"].samples}
    assert append["holdtime_ingest_append_seconds_count"] == 1
    assert append["holdtime_ingest_append_seconds_bucket"] == 1
    assert abs(families["holdtime_ingest_clock_skew_seconds"].samples[0].value) < 60


def test_every_outcome_but_a_disconnect_has_an_answer() -> None:
    assert set(DeliveryOutcome) - set(ANSWERS) == {DeliveryOutcome.DISCONNECTED}


def test_once_draining_new_deliveries_are_sent_away_and_it_is_not_ready(fresh: Running) -> None:
    fresh.app.stop_accepting()
    came = fresh.exchange(delivery(EVENT))
    assert statuses(came) == [503]
    assert b"retry-after: " in came
    assert fresh.get("/readyz") == (503, "not ready: shutting down\n")
    assert fresh.get("/livez")[0] == 200
    assert fresh.stored() == []


def test_many_connections_at_once_are_all_stored(running: Running) -> None:
    # Signed before anyone connects: a connection that says nothing for long is closed.
    deliveries = [delivery(b"%d" % number, CLOSE) for number in range(200)]

    async def one(request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(request)
        came = await reader.read()
        writer.close()
        await writer.wait_closed()
        return came

    async def all_of_them() -> list[bytes]:
        return await asyncio.gather(*map(one, deliveries))

    assert [statuses(came) for came in asyncio.run(all_of_them())] == [[200]] * 200
    assert sorted(running.stored()) == sorted(b"%d" % number for number in range(200))
