"""Whole answers, made once and sent often."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Self

Header = tuple[bytes, bytes]

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def status_line(status: int) -> bytes:
    """Return the first line of an answer."""
    return b"HTTP/1.1 %d %b\r\n" % (status, HTTPStatus(status).phrase.encode())


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer in bytes, for a connection that goes on and for one that ends; `closes` where it has to end."""

    status: int
    closes: bool
    text: bytes
    kept_alive: bytes
    closing: bytes

    @classmethod
    def of(cls, status: int, text: bytes, *headers: Header, closes: bool = False) -> Self:
        """Make an answer; it closes where the request's body was not read, so that it cannot go on for ever."""
        lines = [(b"content-length", b"%d" % len(text)), *headers]
        if text:
            lines.append((b"content-type", b"text/plain; charset=utf-8"))
        head = status_line(status) + b"".join(b"%b: %b\r\n" % line for line in lines)
        closing = head + b"connection: close\r\n\r\n" + text
        return cls(status, closes, text, closing if closes else head + b"\r\n" + text, closing)

    def last(self, method: str) -> bytes:
        """Return the bytes that end a connection; the answer to a HEAD request has no text."""
        return self.closing.removesuffix(self.text) if method == "HEAD" else self.closing


TOO_SLOW = Answer.of(408, b"body not complete in time\n", closes=True)
TOO_LARGE = Answer.of(413, b"body over 1 MiB\n", closes=True)
COME_AGAIN = Answer.of(503, b"come again\n", (b"retry-after", b"2"), closes=True)
