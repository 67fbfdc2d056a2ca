"""The head of a request: one clear answer to each form, in whatever pieces it comes."""

import contextlib
import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.http.request import CHUNKED, Head, HeadReader, RefusedRequestError

HOST = b"Host: x\r\n"


def read(data: bytes, step: int = 1 << 20) -> tuple[Head, bytes]:
    """Return the head at the beginning of `data`, which comes in pieces of `step` bytes, and the rest."""
    reader = HeadReader()
    at = 0
    while reader.head is None:
        assert at < len(data), "the head does not end"
        at += reader.feed(data[at : at + step])
    return reader.head, data[at:]


def refusal(data: bytes, step: int = 1 << 20) -> int:
    with pytest.raises(RefusedRequestError) as refused:
        read(data, step)
    assert refused.value.answer.closes
    return refused.value.answer.status


def post(*fields: bytes, line: bytes = b"POST /webhooks/telnyx HTTP/1.1") -> bytes:
    return b"\r\n".join((line, *fields, b"", b""))


@pytest.mark.parametrize("step", [1, 3, 1000])
@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"hello\r\n\r\n", 400),
        (b"POST /\r\n\r\n", 400),
        (b"POST  / HTTP/1.1\r\n\r\n", 400),
        (b"POST / HTTP/1.1 \r\n\r\n", 400),
        (b"post / HTTP/1.1\r\n\r\n", 400),
        (b"NONE / HTTP/1.1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\n\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\n\r\n", 400),
        (post(b"A: b\x00c"), 400),
        (post(b"A: b\x01c"), 400),
        (post(b"A: b\rc"), 400),
        (post(b"A: b", b" folded"), 400),
        (post(b" A: b"), 400),
        (post(b"A : b"), 400),
        (post(b": b"), 400),
        (post(b"A"), 400),
        (post(b"Host: x", b"Host: x"), 400),
        (post(b"Content-Length: 5", b"Content-Length: 5"), 400),
        (post(b"Content-Length: 5, 5"), 400),
        (post(b"Content-Length: five"), 400),
        (post(b"Content-Length: -5"), 400),
        (post(b"Content-Length:"), 400),
        (post(b"Content-Length: " + b"0" * 22 + b"300"), 400),
        (post(b"Content-Length: " + b"0" * 19 + b"5"), 400),
        (post(b"Content-Length: 5", b"Transfer-Encoding: chunked"), 400),
        (post(b"Transfer-Encoding: chunked", b"Content-Length: 5"), 400),
        (post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), 400),
        (post(b"Transfer-Encoding: chunked, gzip"), 400),
        (post(b"Transfer-Encoding: chunked", line=b"POST / HTTP/1.0"), 400),
        (post(b"Transfer-Encoding: gzip, chunked"), 501),
        (post(line=b"OPTIONS * HTTP/1.1"), 400),
        (post(line=b"POST webhooks HTTP/1.1"), 400),
        (post(line=b"POST ftp://x/ HTTP/1.1"), 400),
        (post(line=b"POST /\xff HTTP/1.1"), 400),
        (post(line=b"POST /webhooks%2ftelnyx HTTP/1.1"), 400),
        (post(line=b"POST /webhooks%2Ftelnyx?a HTTP/1.1"), 400),
        (post(line=b"POST /webhooks%5Ctelnyx HTTP/1.1"), 400),
        (post(line=b"CONNECT / HTTP/1.1"), 405),
        (post(line=b"CONNECT x:443 HTTP/1.0"), 405),
        (post(b"Upgrade: h2c", b"Connection: Upgrade", line=b"CONNECT * HTTP/2.0"), 405),
        (b"CONNECT ", 405),
        (post(line=b"POST / HTTP/2.0"), 505),
        (post(line=b"POST / HTTP/2"), 505),
        (post(line=b"POST / HTTP/1.2"), 505),
        (post(line=b"POST / HTTP/0.9"), 505),
        (post(line=b"PRI * HTTP/2.0") + b"SM\r\n\r\n", 505),
        (post(line=b"PRI * HTTP/1.1"), 400),
        (post(line=b"POST / RTSP/1.0"), 400),
        (post(line=b"SOURCE / ICE/1.0"), 400),
        (b"POST /" + b"a" * 8192, 414),
        (post(b"A: " + b"b" * 65_536), 431),
        (post(*[b"A: b"] * 20_000), 431),
    ],
)
def test_each_malformed_form_has_its_status(data: bytes, status: int, step: int) -> None:
    assert refusal(data, step) == status


@pytest.mark.parametrize(
    ("target", "path", "query", "host"),
    [
        (b"/webhooks/telnyx", "/webhooks/telnyx", b"", b"x"),
        (b"/webhooks/telnyx?a=%2f&b", "/webhooks/telnyx", b"a=%2f&b", b"x"),
        (b"/%77ebhooks/telnyx", "/webhooks/telnyx", b"", b"x"),
        (b"/webhooks%252ftelnyx", "/webhooks%2ftelnyx", b"", b"x"),
        (b"//webhooks/telnyx/", "//webhooks/telnyx/", b"", b"x"),
        (b"/a#b?c", "/a", b"", b"x"),
        (b"http://other:80/a?b", "/a", b"b", b"other:80"),
        (b"HTTPS://other", "/", b"", b"other"),
        (b"http://other?b", "/", b"b", b"other"),
    ],
)
def test_a_target_is_a_path_or_names_a_host(target: bytes, path: str, query: bytes, host: bytes) -> None:
    head, _ = read(post(b"Host: x", line=b"POST " + target + b" HTTP/1.1"))
    assert (head.path, head.query, head.host) == (path, query, host)


@pytest.mark.parametrize("step", [1, 5, 1000])
def test_an_offer_to_upgrade_changes_nothing_and_the_rest_is_the_bodys(step: int) -> None:
    offer = post(b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 5")
    head, rest = read(offer + b"hello", step)
    assert (head.method, head.length, rest) == ("POST", 5, b"hello")


def test_empty_lines_before_a_request_are_ignored() -> None:
    assert read(b"\r\n\r\n\n" + post())[0].path == "/webhooks/telnyx"


@pytest.mark.parametrize(
    ("line", "fields", "keeps_alive"),
    [
        (b"GET / HTTP/1.1", [], True),
        (b"GET / HTTP/1.1", [b"Connection: keep-alive, Close"], False),
        (b"GET / HTTP/1.1", [b"Connection: x-close"], True),
        (b"GET / HTTP/1.0", [b"Connection: keep-alive"], False),
    ],
)
def test_a_connection_goes_on_unless_the_client_says_otherwise(
    line: bytes, fields: list[bytes], keeps_alive: bool
) -> None:
    assert read(post(*fields, line=line))[0].keeps_alive is keeps_alive


@pytest.mark.parametrize(
    ("fields", "length"),
    [([], 0), ([b"Content-Length: 5"], 5), ([b"Content-Length: 5 "], 5), ([b"Transfer-Encoding: Chunked"], CHUNKED)],
)
def test_the_fields_say_how_long_the_body_is(fields: list[bytes], length: int) -> None:
    assert read(post(*fields))[0].length == length


NAMES = st.sampled_from([b"A", b"b-c", b"Telnyx-Timestamp", b"x!#$%&'*+.^_`|~"])
VALUES = st.binary(max_size=30).map(lambda value: bytes(byte for byte in value if byte > 0x20 and byte != 0x7F))


@given(fields=st.lists(st.tuples(NAMES, VALUES), max_size=8), step=st.integers(1, 200), body=st.binary(max_size=50))
def test_what_was_sent_is_what_is_read_in_whatever_pieces(
    fields: list[tuple[bytes, bytes]], step: int, body: bytes
) -> None:
    reader, at = HeadReader(), 0
    data = post(*(name + b": " + value for name, value in fields)) + body
    while reader.head is None:
        at += reader.feed(data[at : at + step])
    assert reader.head.headers == [(name.lower(), value) for name, value in fields]
    assert data[at:] == body
    names = [name.lower() for name, _ in fields]
    assert reader.head.repeated == {name for name in names if names.count(name) > 1}


@pytest.mark.parametrize("data", [post(b"Content-Length: 5"), post(b"A: b\x00c"), post(b"A: b")[:-2]])
def test_a_head_leaves_no_cycle_that_somebody_had_to_look_for(data: bytes) -> None:
    gc.collect()
    gc.disable()
    try:
        reader = HeadReader()
        with contextlib.suppress(RefusedRequestError):
            reader.feed(data)
        reader.forget()
        del reader
        assert gc.collect() == 0
    finally:
        gc.enable()
