import asyncio
import base64
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from nacl.signing import SigningKey

from simulator import (
    Faults,
    Plan,
    Posted,
    Retries,
    SimulatedDelivery,
    deliver,
    post,
    simulate,
)
from simulator.poster import unreachable
from tests.support.post import a_free_port

KEY = SigningKey(bytes(range(32)))
QUICK = Retries(first_s=0.01, most_s=0.02, total_s=5)

Answer = Callable[[dict[str, str], bytes], int | None]
"""What the server answers to a request: a status, or None to break the connection."""


def some_deliveries(count: int, faults: Faults | None = None) -> list[SimulatedDelivery]:
    start = datetime(2026, 3, 2, 15, tzinfo=UTC)
    world = simulate(Plan.medium(), seed=1, start=start, duration=timedelta(hours=1))
    return deliver(world.events[:count], faults or Faults())


def event_id(body: bytes) -> str:
    event = json.loads(body)
    return str(event.get("data", event)["id"])


def is_authentic(headers: dict[str, str], body: bytes) -> bool:
    signature = base64.b64decode(headers["telnyx-signature-ed25519"], validate=True)
    try:
        KEY.verify_key.verify(f"{headers['telnyx-timestamp']}|".encode() + body, signature)
    except Exception:  # noqa: BLE001 (whatever is wrong with a signature)
        return False
    return True


def serve(answer: Answer, use: Callable[[str], Awaitable[Posted]]) -> tuple[Posted, int]:
    """Run `use` with the URL of a small HTTP server; return what it gave and how many connections it opened."""
    opened = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                request, *lines = head.rstrip().split("\r\n")
                assert request == "POST /webhooks/telnyx HTTP/1.1"
                headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
                status = answer(headers, await reader.readexactly(int(headers["content-length"])))
                if status is None:
                    break
                writer.write(f"HTTP/1.1 {status} Whatever\r\nContent-Length: 2\r\n\r\nok".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def run() -> Posted:
        async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await use(f"http://127.0.0.1:{port}/webhooks/telnyx")

    return asyncio.run(run()), opened


def test_every_delivery_is_signed_and_arrives_over_few_connections() -> None:
    deliveries = some_deliveries(300)
    got: list[str] = []
    progress: list[int] = []

    def answer(headers: dict[str, str], body: bytes) -> int:
        assert headers["telnyx-timestamp"] == "1780000000"
        assert headers["content-type"] == "application/json"
        assert is_authentic(headers, body)
        got.append(event_id(body))
        return 200

    posted, opened = serve(
        answer,
        lambda url: post(
            deliveries,
            url=url,
            key=KEY,
            connections=3,
            clock=lambda: 1_780_000_000.9,
            progress=lambda so_far: progress.append(so_far.settled),
        ),
    )
    assert (posted.statuses, posted.accepted, posted.given_up) == ({200: 300}, 300, [])
    assert sorted(got) == sorted(delivery.event_id for delivery in deliveries)
    assert opened == 3
    assert progress == list(range(1, 301))
    assert posted.seconds > 0


def test_what_may_succeed_later_is_tried_again_with_the_next_attempt() -> None:
    deliveries = some_deliveries(120)
    tries: Counter[str] = Counter()
    troubles = [503, 429, 408, None, 500]

    def answer(headers: dict[str, str], body: bytes) -> int | None:
        assert is_authentic(headers, body)
        tries[event_id(body)] += 1
        event = json.loads(body)
        if "meta" in event:
            assert event["meta"]["attempt"] == tries[event_id(body)]
        place = int(event_id(body)[:8], 16)
        return troubles[place % 5] if place % 2 and tries[event_id(body)] <= 2 else 202

    posted, _ = serve(answer, lambda url: post(deliveries, url=url, key=KEY, retries=QUICK))
    assert posted.accepted == len(deliveries) == posted.statuses[202]
    assert posted.given_up == []
    troubled = sum(int(delivery.event_id[:8], 16) % 2 for delivery in deliveries)
    assert posted.statuses.total() == len(deliveries) + 2 * troubled
    assert set(posted.statuses) == {202, 503, 429, 408, 500, 0}


def test_a_retry_goes_to_the_other_server_where_there_is_one() -> None:
    deliveries, came = some_deliveries(20), Counter[str]()

    async def use(url: str) -> Posted:
        return await post(deliveries, url="http://127.0.0.1:9/", failover=url, key=KEY, retries=QUICK)

    def answer(_: dict[str, str], body: bytes) -> int:
        came[event_id(body)] += 1
        return 200

    posted, _ = serve(answer, use)
    assert came == Counter(delivery.event_id for delivery in deliveries)
    assert posted.statuses == {0: 20, 200: 20}
    assert not posted.given_up


def test_other_refusals_are_final() -> None:
    deliveries = some_deliveries(20)
    posted, _ = serve(lambda headers, body: 400, lambda url: post(deliveries, url=url, key=KEY, retries=QUICK))
    assert (posted.statuses, posted.accepted) == ({400: 20}, 0)
    assert sorted(posted.given_up) == sorted(delivery.event_id for delivery in deliveries)


def test_the_last_answer_to_what_was_given_up_is_counted() -> None:
    answers = iter([401, 200, 503, 404, 503, 401])
    once = Retries(limit=1, first_s=0.01)
    posted, _ = serve(
        lambda headers, body: next(answers),
        lambda url: post(some_deliveries(4), url=url, key=KEY, connections=1, retries=once),
    )
    assert posted.refusals == {401: 2, 404: 1}
    assert (posted.accepted, len(posted.given_up)) == (1, 3)


def test_nobody_there_is_found_before_anything_is_posted_and_one_who_comes_late_is_waited_for() -> None:
    async def look() -> tuple[str | None, str | None]:
        port = a_free_port()
        url = f"http://127.0.0.1:{port}/webhooks/telnyx"
        nobody = await unreachable(url, patience_s=0.2)
        late = asyncio.create_task(unreachable(url, patience_s=10))
        await asyncio.sleep(0.3)
        async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port):
            return nobody, await late

    nobody, somebody = asyncio.run(look())
    assert nobody is not None
    assert nobody.startswith("nothing listens on 127.0.0.1:")
    assert somebody is None


def test_attempts_and_time_are_bounded() -> None:
    deliveries = some_deliveries(4)
    posted, _ = serve(lambda headers, body: 503, lambda url: post(deliveries, url=url, key=KEY, retries=QUICK))
    assert posted.statuses == {503: 4 * 6}
    hasty = Retries(limit=50, first_s=0.05, total_s=0.3)
    posted, _ = serve(lambda headers, body: 503, lambda url: post(deliveries, url=url, key=KEY, retries=hasty))
    assert len(posted.given_up) == 4
    assert posted.seconds < 5


def test_a_server_that_is_not_there_or_does_not_answer_breaks() -> None:
    deliveries = some_deliveries(3)

    async def refused(url: str) -> Posted:
        return await post(deliveries, url="http://127.0.0.1:1/", key=KEY, retries=QUICK)

    posted, _ = serve(lambda headers, body: 200, refused)
    assert posted.statuses == {0: 18}

    async def silent() -> Posted:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            return await post(deliveries[:1], url=url, key=KEY, retries=Retries(limit=1, first_s=0.01), timeout_s=0.05)

    assert asyncio.run(silent()).statuses == {0: 2}


def test_forged_deliveries_are_signed_by_a_stranger_and_counted_apart() -> None:
    deliveries = some_deliveries(200, Faults(forged=0.3))
    forged = sum(delivery.forged for delivery in deliveries)
    posted, _ = serve(
        lambda headers, body: 200 if is_authentic(headers, body) else 401,
        lambda url: post(deliveries, url=url, key=KEY, retries=QUICK),
    )
    assert forged > 20
    assert (posted.statuses, posted.forged) == ({200: 200}, {401: forged})
    assert posted.settled == len(deliveries)


def test_the_rate_is_kept() -> None:
    deliveries = some_deliveries(100)
    posted, _ = serve(lambda headers, body: 200, lambda url: post(deliveries, url=url, key=KEY, rate=250))
    assert 0.35 < posted.seconds < 10  # the rate is a ceiling


def test_posting_is_fast() -> None:
    deliveries = some_deliveries(3_000)
    began = time.perf_counter()
    posted, _ = serve(lambda headers, body: 200, lambda url: post(deliveries, url=url, key=KEY))
    assert posted.accepted == len(deliveries)
    assert len(deliveries) / (time.perf_counter() - began) > 300  # far more on a free machine


@pytest.mark.parametrize("url", ["http://192.0.2.1/hook", "https://example.com/hook", "http://localhost.example.com/"])
def test_only_this_machine_is_posted_to_unless_asked_for(url: str) -> None:
    with pytest.raises(ValueError, match=r"is not this machine: .* set allow_remote"):
        asyncio.run(post([], url=url, key=KEY))
    assert asyncio.run(post([], url=url, key=KEY, allow_remote=True)).settled == 0


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://localhost/", "http://[::1]:8080/x?y=z"])
def test_this_machine_has_several_names(url: str) -> None:
    assert asyncio.run(post([], url=url, key=KEY)).settled == 0


@pytest.mark.parametrize("url", ["127.0.0.1:8080/", "ftp://127.0.0.1/", "http:///path"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected a URL such as"):
        asyncio.run(post([], url=url, key=KEY))
