"""A request's body as it comes in: by its declared length, or in chunks. Trailers are checked for form and dropped."""

import re
from typing import Protocol

from ingest.http.request import CHUNKED, Head, RefusedRequestError

MAX_BODY_BYTES = 1 << 20
MAX_CHUNKS = 4096
"""Enough for 1 MiB in pieces of 256 bytes; smaller ones cost more to read than they hold."""
MAX_CHUNK_LINE_BYTES = 1024
MAX_TRAILER_BYTES = 8 << 10

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[\t -~\x80-\xff]*)?\r\n")
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t -~\x80-\xff]*\r\n")


class TooLargeError(Exception):
    """The body is over 1 MiB."""


class Body(Protocol):
    """A body that is being read."""

    held: int
    """Bytes that came and are kept."""
    is_complete: bool

    def feed(self, data: bytes, at: int) -> int:
        """Read on from `at`; return where the body's bytes end in `data`. Raises TooLargeError, RefusedRequestError."""

    def content(self) -> bytes:
        """Return the bytes of a complete body."""


def body_of(head: Head) -> Body:
    """Return the body that follows the head. Raises TooLargeError for one that is declared too large."""
    if head.length == CHUNKED:
        return ChunkedBody()
    if head.length > MAX_BODY_BYTES:
        raise TooLargeError
    return SizedBody(head.length)


class SizedBody:
    """A body whose length was declared."""

    __slots__ = ("_content", "_length", "_parts", "held", "is_complete")

    def __init__(self, length: int) -> None:
        """Expect `length` bytes."""
        self._length = length
        self._content = b""
        self._parts = bytearray()
        self.held = 0
        self.is_complete = length == 0

    def feed(self, data: bytes, at: int) -> int:
        """Read on."""
        end = min(len(data), at + self._length - self.held)
        piece = data[at:end]
        self.is_complete = self.held + len(piece) == self._length
        if not self.held and self.is_complete:
            self._content = piece
        else:
            self._parts += piece
        self.held += len(piece)
        return end

    def content(self) -> bytes:
        """Return the body."""
        return self._content or bytes(self._parts)


class ChunkedBody:
    """A body in chunks (RFC 9112, 7.1), read strictly: every line ends with CRLF, and nothing stands before a size."""

    __slots__ = ("_chunks", "_is_in_trailer", "_left", "_line", "_parts", "_trailer_bytes", "held", "is_complete")

    def __init__(self) -> None:
        """Expect the first chunk's size."""
        self._parts = bytearray()
        self._line = b""
        self._left: int | None = None
        """Bytes of the chunk that are still to come; 0 before the line end after them, None before a size."""
        self._chunks = self._trailer_bytes = 0
        self._is_in_trailer = self.is_complete = False
        self.held = 0

    def feed(self, data: bytes, at: int) -> int:
        """Read on."""
        while at < len(data) and not self.is_complete:
            if self._left:
                piece = data[at : at + self._left]
                self._parts += piece
                self._left -= len(piece)
                self.held += len(piece)
                at += len(piece)
            else:
                end = data.find(b"\n", at) + 1
                self._line += data[at : end or len(data)]
                at = end or len(data)
                if len(self._line) > MAX_CHUNK_LINE_BYTES:
                    raise RefusedRequestError(400, "a chunk's line is over 1 KiB")
                if end:
                    line, self._line = self._line, b""
                    self._take(line)
        return at

    def content(self) -> bytes:
        """Return the body."""
        return bytes(self._parts)

    def _take(self, line: bytes) -> None:
        if self._is_in_trailer:
            self._trailer_bytes += len(line)
            if line == b"\r\n":
                self.is_complete = True
            elif not _TRAILER.fullmatch(line) or self._trailer_bytes > MAX_TRAILER_BYTES:
                raise RefusedRequestError(400, "malformed or too many trailers")
        elif self._left is not None:
            if line != b"\r\n":
                raise RefusedRequestError(400, "a chunk is longer than its size")
            self._left = None
        else:
            self._begin(line)

    def _begin(self, line: bytes) -> None:
        size = _SIZE.fullmatch(line)
        if size is None:
            raise RefusedRequestError(400, "malformed chunk size")
        self._chunks += 1
        if self._chunks > MAX_CHUNKS:
            raise RefusedRequestError(400, "too many chunks")
        self._left = int(size[1], 16)
        if self.held + self._left > MAX_BODY_BYTES:
            raise TooLargeError
        if self._left == 0:
            self._left, self._is_in_trailer = None, True
