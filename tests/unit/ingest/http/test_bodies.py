"""A body by its length or in chunks, in whatever pieces it comes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.http.bodies import MAX_BODY_BYTES, MAX_CHUNKS, Body, ChunkedBody, SizedBody, TooLargeError
from ingest.http.request import RefusedRequestError

PIECES = st.lists(st.binary(min_size=1, max_size=40), max_size=8)


def fed(body: Body, data: bytes, step: int) -> bytes:
    """Feed `data` in pieces of `step` bytes until the body is complete; return what is left."""
    at = 0
    while at < len(data) and not body.is_complete:
        piece = data[at : at + step]
        at += body.feed(piece, 0)
    return data[at:]


def chunked(pieces: list[bytes], extension: bytes = b"", trailer: bytes = b"") -> bytes:
    chunks = b"".join(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces)
    return chunks + b"0\r\n" + trailer + b"\r\n"


@given(content=st.binary(max_size=100), rest=st.binary(max_size=20), step=st.integers(1, 130))
def test_a_sized_body_ends_where_it_was_declared_to(content: bytes, rest: bytes, step: int) -> None:
    body = SizedBody(len(content))
    assert fed(body, content + rest, step) == rest
    assert (body.is_complete, body.content(), body.held) == (True, content, len(content))


@given(
    pieces=PIECES,
    rest=st.binary(max_size=20),
    step=st.integers(1, 400),
    extension=st.sampled_from([b"", b";a", b" ; a=b"]),
    trailer=st.sampled_from([b"", b"telnyx-timestamp: 1\r\n", b"a: b\r\nc:\r\n"]),
)
def test_a_chunked_body_is_its_chunks_and_nothing_of_its_trailer(
    pieces: list[bytes], rest: bytes, step: int, extension: bytes, trailer: bytes
) -> None:
    body = ChunkedBody()
    assert fed(body, chunked(pieces, extension, trailer) + rest, step) == rest
    assert (body.is_complete, body.content()) == (True, b"".join(pieces))


@pytest.mark.parametrize("step", [1, 1000])
@pytest.mark.parametrize(
    "data",
    [
        b"x\r\n",
        b"\r\n",
        b"-5\r\nhello\r\n",
        b"+5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b" 5\r\nhello\r\n",
        b"5\nhello\r\n",
        b"5\r\nhello\n",
        b"5\r\nhello!\r\n",
        b"5;\x00\r\nhello\r\n",
        b"F" * 17 + b"\r\n",
        b"5;" + b"a" * 1025,
        b"0\r\nbroken\r\n\r\n",
        b"0\r\n folded: a\r\n\r\n",
        b"0\r\na: b\n\r\n",
        b"0\r\n" + b"a: b\r\n" * 2000,
        b"1\r\nx\r\n" * (MAX_CHUNKS + 1),
    ],
)
def test_malformed_chunks_are_refused(data: bytes, step: int) -> None:
    with pytest.raises(RefusedRequestError) as refused:
        fed(ChunkedBody(), data, step)
    assert refused.value.answer.status == 400


@pytest.mark.parametrize("sizes", [[MAX_BODY_BYTES + 1], [MAX_BODY_BYTES, 1], [1 << 60]])
def test_chunks_over_the_limit_are_noticed_by_their_sizes(sizes: list[int]) -> None:
    body, data = ChunkedBody(), b"".join(b"%x\r\n%b\r\n" % (size, b"x" * min(size, MAX_BODY_BYTES)) for size in sizes)
    with pytest.raises(TooLargeError):
        fed(body, data, 1 << 20)
    assert body.held <= MAX_BODY_BYTES


def test_a_body_of_the_most_bytes_is_taken() -> None:
    body = ChunkedBody()
    fed(body, chunked([b"x" * 65_536] * 16), 10_000)
    assert len(body.content()) == MAX_BODY_BYTES
