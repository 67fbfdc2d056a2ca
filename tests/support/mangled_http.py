"""Requests that nobody should send, drawn at random from a grammar of HTTP/1.1 that is broken here and there.

None is signed by a key that anybody trusts, so nothing of them may ever be stored.
"""

import random
from collections.abc import Callable
from itertools import pairwise

METHODS = (
    b"POST",
    b"POST",
    b"POST",
    b"GET",
    b"HEAD",
    b"CONNECT",
    b"OPTIONS",
    b"PRI",
    b"post",
    b"M-SEARCH",
    b"\x16\x03",
)
TARGETS = (
    *(b"/webhooks/telnyx", b"/webhooks/telnyx", b"//webhooks/telnyx", b"/webhooks/telnyx/", b"/webhooks%2Ftelnyx"),
    *(b"/webhooks/telnyx?a=%2f", b"/webhooks/telnyx#x", b"/%77ebhooks/telnyx", b"/webhooks/../webhooks/telnyx", b"*"),
    *(b"http://x/webhooks/telnyx", b"HTTPS://x", b"ftp://x/", b"x:443", b"/livez", b"/readyz", b"/metrics", b"/status"),
    *(b"/", b"", b"/" + b"a" * 9000, b"/\xff", b"/%00", b"/%", b"/%zz", b"/a b", b"/\x00", b"\\", b"?", b"//"),
)
SERVED = (
    *(b"/webhooks/telnyx", b"/webhooks/telnyx", b"//webhooks/telnyx/?a", b"/"),
    *(b"/livez", b"/readyz", b"/metrics", b"/status"),
)
VERSIONS = (
    *(b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/2", b"HTTP/0.9", b"HTTP/1.2"),
    *(b"HTTP/11.1", b"RTSP/1.0", b"ICE/1.0", b"http/1.1", b"HTTP/1.1 ", b"", b"HTTP"),
)
FIELDS = (
    *(b"Host: x", b"Host: y", b"Host:", b"Connection: close", b"Connection: keep-alive", b"Connection: Upgrade"),
    *(b"Upgrade: h2c", b"Upgrade: websocket", b"HTTP2-Settings: AAMAAABk", b"Expect: 100-continue", b"Expect: x"),
    *(b"Telnyx-Timestamp: 1767261600", b"Telnyx-Signature-Ed25519: " + b"A" * 86 + b"==", b"Trailer: telnyx-timestamp"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: identity"),
    *(b"Content-Length: 0", b"Content-Length: 5", b"Content-Length: 5, 5", b"Content-Length: -1"),
    *(b"Content-Length: 1048577", b"Content-Length: " + b"9" * 30, b"Content-Length : 5", b"Content-Length: 0x5"),
    *(b" folded", b"\tfolded", b": none", b"none", b"", b"a: b\x00c", b"a: b\rc", b"a\xff: b", b"a: \xff", b"a: \x7f"),
    b"X-Long: " + b"x" * 70_000,
)
RIGHT_FIELDS = (b"Connection: close", b"Connection: Upgrade", b"Upgrade: h2c", b"Expect: 100-continue", b"Accept: */*")
SIGNATURE_FIELDS = (b"Telnyx-Timestamp: 1767261600", b"Telnyx-Signature-Ed25519: " + b"A" * 86 + b"==")
ENDS = (b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\n")
SIZES = (b"5", b"5", b"05", b"5;ext", b'5 ; a="b"', b"0", b"x", b"-5", b"+5", b"0x5", b"", b"5 5", b"F" * 17, b"100001")
TRAILERS = (b"", b"Telnyx-Timestamp: 1\r\n", b"a: b\r\n" * 3, b"broken\r\n", b" a\r\n", b"a: " + b"b" * 9000 + b"\r\n")

Kind = Callable[[random.Random], bytes]


def conversation(rng: random.Random) -> list[bytes]:
    """Return the pieces that a client sends on one connection: one to three requests, cut at random places."""
    sent = b"".join(request(rng) for _ in range(rng.choice((1, 1, 1, 2, 3))))
    if rng.random() < 0.1:
        sent = sent[: rng.randint(0, len(sent))]
    cuts = sorted(rng.randint(0, len(sent)) for _ in range(rng.choice((0, 0, 1, 2, 5))))
    return [sent[start:stop] for start, stop in pairwise([0, *cuts, len(sent)]) if start < stop]


def request(rng: random.Random) -> bytes:
    """Return one request, well-formed or not."""
    if rng.random() < 0.6:
        return _nearly_right(rng)
    head = _head(rng)
    body = rng.choice((_nothing, _sized, _sized, _chunked, _noise))(rng)
    return rng.choice((b"", b"", b"", b"\r\n", b"\n")) + head + body


def _nearly_right(rng: random.Random) -> bytes:
    """Return a request that is right, but for a byte of it now and then."""
    body = b"x" * rng.choice((0, 5, 600, 100_000))
    framing = [b"Content-Length: %d" % len(body)]
    if rng.random() < 0.4:
        cut = rng.randint(0, len(body))
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:cut], body[cut:]) if part)
        body += b"0\r\n" + rng.choice(TRAILERS[:3]) + b"\r\n"
        framing = [b"Transfer-Encoding: chunked"]
    if rng.random() < 0.3:
        body, framing = b"", []
    line = b" ".join((rng.choice(METHODS[:5]), rng.choice(SERVED), rng.choice(VERSIONS[:4])))
    signed = rng.sample(SIGNATURE_FIELDS, rng.choice((0, 1, 2, 2, 2)))
    fields = [b"Host: x", *rng.sample(RIGHT_FIELDS, rng.randint(0, 3)), *signed, *framing]
    sent = bytearray(b"\r\n".join([line, *fields, b"", b""]) + body)
    for _ in range(rng.choice((0, 0, 1, 3))):
        place = rng.randrange(len(sent))
        sent[place : place + rng.choice((0, 1, 2))] = rng.randbytes(rng.choice((0, 1, 2)))
    return bytes(sent)


def _head(rng: random.Random) -> bytes:
    fields = [rng.choice(FIELDS) for _ in range(rng.choice((0, 1, 2, 4, 8)))]
    if rng.random() < 0.7:
        fields = [field for field in fields if b": " in field and len(field) < 1000] + [b"Host: x"]
    line = b" ".join((rng.choice(METHODS), rng.choice(TARGETS), rng.choice(VERSIONS)))
    end = rng.choice(ENDS)
    return b"".join(part + end for part in (line, *fields, b""))


def _nothing(_: random.Random) -> bytes:
    return b""


def _sized(rng: random.Random) -> bytes:
    return b"x" * rng.choice((5, 5, 5, 4, 6, 100_000))


def _chunked(rng: random.Random) -> bytes:
    end = rng.choice(ENDS)
    chunks = [rng.choice(SIZES) + end + b"hello" + end for _ in range(rng.choice((0, 1, 2, 5)))]
    return b"".join(chunks) + b"0" + end + rng.choice(TRAILERS) + end


def _noise(rng: random.Random) -> bytes:
    return rng.randbytes(rng.randint(1, 300))
