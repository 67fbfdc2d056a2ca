"""A request's head: its line, its target and its fields.

llhttp (`httptools`) reads the fields; a reader is used for one head and fed nothing else. So an offer to change the
protocol (`Upgrade`) changes nothing, and no byte of a body is ever taken for a field. The request line is read here,
because llhttp also takes RTSP, ICE and HTTP/2.0.
"""

import re
from collections import Counter
from dataclasses import dataclass
from urllib.parse import unquote

import httptools

from ingest.http.answers import Answer, Header

MAX_HEAD_BYTES = 64 << 10
MAX_LINE_BYTES = 8 << 10
MAX_LENGTH_DIGITS = 19
"""Of a length that 64 bits hold."""
CHUNKED = -1

_LINE = re.compile(rb"([A-Z-]{1,32}) ([!-~]+) HTTP/1\.([01])\r\n")
_LINE_OF_ANOTHER_VERSION = re.compile(rb"[A-Z-]{1,32} [!-~]+ HTTP/[0-9](?:\.[0-9])?\r\n")
_PART_OF_A_LINE = re.compile(rb"[ -~]*\r?")
_ABSOLUTE = re.compile(rb"https?://([^/?#]+)(.*)", re.IGNORECASE)
_ENCODED_SLASH = re.compile(rb"%(?:2f|5c)", re.IGNORECASE)
_END = b"\r\n\r\n"
_NONE: frozenset[bytes] = frozenset()
_ONCE = frozenset((b"host", b"content-length", b"transfer-encoding"))


class RefusedRequestError(Exception):
    """The request cannot be served; `answer` says why, and the connection ends with it."""

    def __init__(self, status: int, reason: str, *headers: Header) -> None:
        super().__init__(reason)
        self.answer = Answer.of(status, reason.encode() + b"\n", *headers, closes=True)


@dataclass(slots=True)
class Head:
    """The head of a request.

    `path` is decoded. `headers` are in their order, `fields` by name (lower-case), the last of each; `repeated` names
    those that came more than once. `length` is the body's, in bytes, or CHUNKED.
    """

    method: str
    path: str
    raw_path: bytes
    query: bytes
    version: str
    host: bytes | None
    headers: list[Header]
    fields: dict[bytes, bytes]
    repeated: frozenset[bytes]
    length: int

    @property
    def keeps_alive(self) -> bool:
        """Whether the sender expects to send another request on this connection."""
        if self.version == "1.0":
            return False
        connection = self.fields.get(b"connection")
        return connection is None or b"close" not in map(bytes.strip, connection.lower().split(b","))

    @property
    def expects_continue(self) -> bool:
        """Whether the sender waits for an interim answer before it sends the body."""
        return self.version == "1.1" and self.fields.get(b"expect", b"").lower() == b"100-continue"


class HeadReader:
    """Reads one head, in whatever pieces it comes; `head` is there when it is complete."""

    __slots__ = ("_is_read", "_line", "_parser", "_raw", "_start", "_tail", "head", "size")

    def __init__(self) -> None:
        """Begin with nothing."""
        self.head: Head | None = None
        self.size = 0
        self._start = b""
        self._line: re.Match[bytes] | None = None
        self._tail = b""
        self._parser: httptools.HttpRequestParser | None = None
        self._is_read = False
        self._raw: list[Header] = []

    def feed(self, data: bytes) -> int:
        """Read on; return how many bytes of `data` are the head's. Raises RefusedRequestError."""
        start = 0
        if not self.size and data[:1] in {b"\r", b"\n"}:
            start = len(data) - len(data.lstrip(b"\r\n"))  # RFC 9112, 2.2: ignore empty lines before a request
        if start == len(data):
            return start
        at = (self._tail + data).find(_END) if self._tail else data.find(_END, start)
        stop = len(data) if at < 0 else at + len(_END) - len(self._tail)
        self.size += stop - start
        if self.size > MAX_HEAD_BYTES:
            raise RefusedRequestError(431, "headers over 64 KiB")
        piece = data[start:stop]
        if at < 0:
            self._tail = (self._tail + piece)[-3:]
        self._parse(piece)
        if at >= 0:
            self.forget()
            self.head = self._complete()
        return stop

    def forget(self) -> None:
        """Drop the parser, which refers to this reader: the garbage collector would find that cycle late."""
        self._parser = None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field, as llhttp found it."""
        self._raw.append((name, value))

    def on_headers_complete(self) -> None:
        """Note that llhttp found the end where it is."""
        self._is_read = True

    def _parse(self, piece: bytes) -> None:
        if self._parser is None:
            end = piece.find(b"\n") + 1
            self._start += piece[:end] if end else piece
            self._check_line(piece)
            if not end:
                return
            piece = self._start + piece[end:]
            self._parser = httptools.HttpRequestParser(self)
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            pass  # a server may ignore the offer, and the fields say how long the body is
        except httptools.HttpParserError as error:
            self.forget()
            raise RefusedRequestError(400, f"malformed request: {error}") from None

    def _check_line(self, piece: bytes) -> None:
        """Raise RefusedRequestError unless the request line is one, or goes on."""
        line = self._start
        if len(line) > MAX_LINE_BYTES:
            raise RefusedRequestError(414, "request line over 8 KiB")
        if line.startswith(b"CONNECT "):
            raise RefusedRequestError(405, "this is no proxy", (b"allow", b"GET, HEAD, POST"))
        if line.endswith(b"\n"):
            self._line = _LINE.fullmatch(line)
            if self._line is not None:
                return
            if _LINE_OF_ANOTHER_VERSION.fullmatch(line):
                raise RefusedRequestError(505, "expected version 1.0 or 1.1 of HTTP")
        elif _PART_OF_A_LINE.fullmatch(piece):
            return
        raise RefusedRequestError(400, "malformed request line")

    def _complete(self) -> Head:
        if self._line is None or not self._is_read:
            raise RefusedRequestError(400, "malformed request")
        headers = [(name.lower(), value.rstrip(b" \t")) for name, value in self._raw]
        fields = dict(headers)
        repeated = _NONE if len(fields) == len(headers) else _repeated(headers)
        if repeated and not repeated.isdisjoint(_ONCE):
            raise RefusedRequestError(400, "a field came twice that may come once")
        method, target, minor = self._line.groups()
        host, raw_path, path, query = _target(target, fields.get(b"host"))
        length = _length(fields, is_old=minor == b"0")
        version = "1.0" if minor == b"0" else "1.1"
        return Head(method.decode("ascii"), path, raw_path, query, version, host, headers, fields, repeated, length)


def _repeated(headers: list[Header]) -> frozenset[bytes]:
    counts = Counter(name for name, _ in headers)
    return frozenset(name for name, count in counts.items() if count > 1)


def _target(target: bytes, host: bytes | None) -> tuple[bytes | None, bytes, str, bytes]:
    """Return host, path as it came, path decoded, and query. An absolute target names the host, whatever Host says."""
    if not target.startswith(b"/"):
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None:
            raise RefusedRequestError(400, "the target must be a path")
        host, target = absolute.groups()
        target = target if target.startswith(b"/") else b"/" + target
    if b"#" in target:
        target = target.partition(b"#")[0]
    raw, _, query = target.partition(b"?")
    if b"%" not in raw:
        return host, raw, raw.decode("ascii"), query
    if _ENCODED_SLASH.search(raw):
        raise RefusedRequestError(400, "encoded slashes in the path")
    return host, raw, unquote(raw.decode("ascii")), query


def _length(fields: dict[bytes, bytes], *, is_old: bool) -> int:
    """Return the body's length; llhttp has refused both fields together, and lengths that are no numbers."""
    coding = fields.get(b"transfer-encoding")
    if coding is not None:
        if coding.lower() != b"chunked":
            raise RefusedRequestError(501, "Transfer-Encoding: chunked only")
        if is_old or b"content-length" in fields:
            raise RefusedRequestError(400, "Transfer-Encoding with Content-Length, or in HTTP/1.0")
        return CHUNKED
    declared = fields.get(b"content-length", b"0")
    if not declared.isdigit():
        raise RefusedRequestError(400, "Content-Length is no number")
    if len(declared) > MAX_LENGTH_DIGITS:
        # A proxy may read so many digits as another number, and then sees another next request.
        raise RefusedRequestError(400, "Content-Length has more digits than any length")
    return int(declared)
