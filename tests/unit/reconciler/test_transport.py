"""What a hostile server answers: redirects, bombs, trickles, other encodings. On real sockets, in real processes."""

import asyncio
import gzip
import itertools
import json
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from reconciler.api import Api, opened
from reconciler.errors import (
    QuestionRefusedError,
    ReconcilerError,
    UnansweredError,
    UnaskableError,
)
from reconciler.pace import Pace
from reconciler.transport import (
    MAX_ANSWER_BYTES,
    AnswerError,
    BoundedTransport,
)
from tests.support.answers import (
    a_server,
    answering,
    bombing,
    endless,
    trickling,
)

KEY = "KEY-canary-0123456789"


async def listed(api: Api) -> list[Any]:
    pages = api.pages("queues", lambda number: api.client.queues.with_raw_response.list(page_number=number))
    return [item async for items in pages for item in items]


def ask(port: int, what: Callable[[Api], Any] = listed) -> Any:
    async def run() -> Any:
        async with opened(key=KEY, base_url=f"http://127.0.0.1:{port}/v2") as client:
            return await what(Api(client, Pace(10**9, clock=itertools.count(step=600).__next__)))

    return asyncio.run(run())


PAGE = json.dumps({"data": [{"name": "support"}], "meta": {"total_results": 1, "page_size": 20}}).encode()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_error_that_says_so_and_the_key_reaches_nobody_else(status: int) -> None:
    with a_server(answering(200, PAGE)) as (other, stolen):
        for target in (f"http://127.0.0.1:{other}/", "/v2/elsewhere", "//127.0.0.1:1/"):
            with a_server(answering(status, b"", Location=target)) as (port, asked):
                with pytest.raises(
                    QuestionRefusedError, match=rf"a redirect \({status}\), which is not followed: check"
                ):
                    ask(port)
                ((request, headers),) = asked
                assert (request, headers["Authorization"]) == ("GET /v2/queues?page%5Bnumber%5D=1", f"Bearer {KEY}")
        assert not stolen


def test_gzip_is_taken_and_other_encodings_are_not() -> None:
    with a_server(answering(200, gzip.compress(PAGE), Content_Encoding="gzip")) as (port, _):
        assert ask(port) == [{"name": "support"}]
    for encoding in ("br", "zstd", "deflate", "gzip, gzip"):
        with (
            a_server(answering(200, zlib.compress(PAGE), Content_Encoding=encoding)) as (port, _),
            pytest.raises(QuestionRefusedError, match="an encoding that was not asked for"),
        ):
            ask(port)
    with (
        a_server(answering(200, b"no gzip", Content_Encoding="gzip")) as (port, _),
        pytest.raises(QuestionRefusedError, match="cannot be inflated"),
    ):
        ask(port)


GROWTH = """
import asyncio, resource, sys
from reconciler.api import Api, opened

async def ask(url):
    async with opened(key="K", base_url=url) as client:
        await Api(client).one("queues", lambda: client.queues.with_raw_response.retrieve("q"))

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for url in sys.argv[1:]:
    try:
        asyncio.run(ask(url))
    except Exception as error:
        print(type(error).__name__, error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_neither_a_bomb_nor_an_endless_answer_takes_memory() -> None:
    with (
        a_server(bombing(200, 256 << 20)) as (bomb, _),
        a_server(bombing(500, 256 << 20)) as (error, _),
        a_server(endless) as (end, _),
    ):
        urls = [f"http://127.0.0.1:{port}/v2" for port in (bomb, error, end)]
        ended = subprocess.run([sys.executable, "-c", GROWTH, *urls], capture_output=True, text=True, check=True)
    *said, grown_mb = ended.stdout.splitlines()
    too_large = (
        "QuestionRefusedError queues: expected an answer of Telnyx's API, came more than 8 MiB, which is not read: "
        "check TELNYX_BASE_URL"
    )
    assert said == [too_large] * 3
    assert int(grown_mb) < 64


def test_an_answer_that_trickles_ends_at_the_deadline() -> None:
    let_go = threading.Event()

    async def run(url: str) -> None:
        async with httpx.AsyncClient(
            transport=BoundedTransport(httpx.AsyncHTTPTransport(), deadline_s=0.3), timeout=30
        ) as client:
            await client.get(url)

    with a_server(trickling(let_go)) as (port, _):
        with pytest.raises(httpx.ReadTimeout, match=r"no whole answer within 0\.3 s"):
            asyncio.run(run(f"http://127.0.0.1:{port}"))
        let_go.set()


@pytest.mark.parametrize(
    "body",
    [
        b'{"data":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"data":' + b'{"a":' * 200_000 + b"1" + b"}" * 200_000 + b"}",
        b'{"data":[' + b"9" * 100_000 + b"]}",
        *(b"", b"null", b"[]", b'{"data":null}', b'{"data":', b"\xff\xfe", "ü".encode("utf-16")),
    ],
)
def test_what_is_no_document_is_an_error_and_no_crash(body: bytes) -> None:
    with (
        a_server(answering(200, body)) as (port, _),
        pytest.raises(UnansweredError, match="answer"),
    ):
        ask(port)


@pytest.mark.parametrize("charset", ["bz2", "hex", "zlib", "idna", "utf-7", "nonsense", "utf-16"])
@pytest.mark.parametrize("status", [200, 400])
def test_a_charset_changes_nothing(charset: str, status: int) -> None:
    with a_server(answering(status, PAGE, Content_Type=f"application/json; charset={charset}")) as (port, _):
        if status == 200:
            assert ask(port) == [{"name": "support"}]
        else:
            with pytest.raises(QuestionRefusedError, match="no reason given"):
                ask(port)


HOSTILE_IDS = (
    *("../../../v2/api_keys", "..", ".", "%2e%2e", "%2e%2e/x", "a?b=c", "a#b", "http://127.0.0.1:1/", "//evil", "a/b"),
    *("\x1b[31m", "<script>", "x\r\nHost: evil", "\0", "a;b", "a\\b", "ü", "\u202e", " ", "x" * 70_000, "%0d%0a"),
)


@pytest.mark.parametrize("name", HOSTILE_IDS)
def test_an_id_is_one_part_of_the_path_or_not_asked_for(name: str) -> None:
    with a_server(answering(200, b'{"data":{}}')) as (port, asked):
        try:
            ask(port, lambda api: api.one("queues", lambda: api.client.queues.with_raw_response.retrieve(name)))
        except UnaskableError:
            assert not asked
            return
    ((request, _),) = asked
    path = request.removeprefix("GET ")
    assert path.startswith("/v2/queues/")
    part = path.removeprefix("/v2/queues/")
    assert not set("/?#\\ \r\n") & set(part)
    assert part not in {".", ".."}
    assert unquote(part) == name


def test_no_error_has_the_key_or_a_control_character_in_it() -> None:
    titles = [f"\x1b[31m{KEY} \u202e\x9b\r\n", "t" * 90 + KEY, KEY * 500, {"x": KEY}, 7, *(["t" * 5000] * 1000)]
    body = json.dumps({"errors": [{"title": title, "detail": KEY} for title in titles]}).encode()
    for status in (400, 401, 403, 404, 409, 422, 429, 500, 599):
        with (
            a_server(answering(status, body, X_Key=KEY, Retry_After="1")) as (port, _),
            pytest.raises(ReconcilerError) as caught,
        ):
            ask(port)
        said = f"{caught.value!r} {caught.value}"
        assert "KEY-" not in said
        assert said.isprintable()
        assert len(said) < 2500


def test_the_bounds_are_those_that_the_error_names() -> None:
    whole = b"x" * MAX_ANSWER_BYTES

    async def get(content: bytes, **headers: str) -> bytes:
        inner = httpx.MockTransport(lambda _: httpx.Response(200, stream=httpx.ByteStream(content), headers=headers))
        async with httpx.AsyncClient(transport=BoundedTransport(inner)) as client:
            return (await client.get("http://telnyx.invalid/")).content

    packed = {"content-encoding": "gzip"}
    assert asyncio.run(get(whole)) == asyncio.run(get(gzip.compress(whole), **packed)) == whole
    for more in (get(whole + b"x"), get(gzip.compress(whole + b"x"), **packed)):
        with pytest.raises(AnswerError, match="more than 8 MiB"):
            asyncio.run(more)
