"""The bodies in a text: one a line, one over several lines, or the items of lists, byte for byte."""

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from ingest.archives import packed
from ingest.archives.errors import ArchiveError
from ingest.archives.text import MARK

BODY_BYTES = 16 << 20
"""The largest body. Telnyx's bodies have 1 MiB at most, and the items of its lists little more."""

_KEPT_BYTES = 1 << 20
_DEPTH = 3
"""The deepest nesting of arrays: `jq --slurp` over files that `jq --slurp` made."""

# Only the ends of values matter here, and Python refuses whole numbers of more than 4,300 digits.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)
_MARK = MARK.decode("latin-1")
_BLANK = re.compile(r"[ \t\r\n]*")
_BETWEEN_BODIES = re.compile(rf"(?:[ \t\r\n\v\f]|{_MARK})*")


class _NoValueError(Exception):
    """The text here is no JSON, whatever follows."""


class Bodies:
    """Iterates over the bodies of a text that comes in blocks.

    A line that is no JSON, alone or together with the lines after it, is a body by itself: a cut line costs no other
    body. Raises ArchiveError, after the bodies before it, where the blocks do, where a list breaks off, or where a body
    is too long; `line` is the number of the line.
    """

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._fault: ArchiveError | None = None
        self._ended = False
        # A character for each byte: JSON's syntax is ASCII, and all other bytes come out as they went in.
        self._text = ""
        self._at = 0
        self._lines_before = 1

    @property
    def line(self) -> int:
        """The number of the line that is being read."""
        return self._lines_before + self._text.count("\n", 0, self._at)

    def __iter__(self) -> Iterator[bytes]:
        while self._found_next():
            yield from self._next()
        if self._fault is not None:
            raise self._fault

    def _found_next(self) -> bool:
        """Go to the next body, past blank lines and byte order marks."""
        while True:
            self._at = _end(_BETWEEN_BODIES, self._text, self._at)
            self._forget()
            if self._ended or self._at + len(_MARK) <= len(self._text):
                return self._at < len(self._text)
            self._fill()

    def _next(self) -> Iterator[bytes]:
        """Yield the bodies that begin here: a line, the items of a list, or one body over several lines."""
        end = self._line_end()
        if end is not None and _is_one_body(self._text[self._at : end]):
            yield self._taken(end)
            return
        begins, line, found = self._at, self.line, 0
        try:
            for body in self._value(0):
                yield body
                found += 1
        except _NoValueError:
            if not found:
                self._at = begins
            elif self.line != line or self._is_last_line():
                raise ArchiveError("breaks off: expected a list to go on or to end: get the file anew") from None
            if name := self._packed_way(self._at):
                raise ArchiveError(
                    f"expected text to the end, found a part that is packed as {name}: replay that part by itself"
                ) from None
            yield self._taken(self._whole_line_end())

    def _value(self, depth: int) -> Iterator[bytes]:
        """Yield the items of the list that begins here; any other value is one body."""
        items = self._items_begin() if depth < _DEPTH else None
        if items is None:
            _, end = self._decoded(self._at)
            if not depth and not self._stands_alone(end):
                raise _NoValueError
            yield self._taken(end)
            return
        is_answer = self._char(self._at) == "{"
        self._at = items
        yield from self._items(_DEPTH if is_answer else depth + 1)
        if is_answer:
            self._at = self._object_end(self._at)

    def _items(self, depth: int) -> Iterator[bytes]:
        self._at = self._gap(self._at)
        if self._char(self._at) == "]":
            self._at += 1
            return
        while True:
            yield from self._value(depth)
            at = self._gap(self._at)
            follows = self._expected(at, ",]")
            self._at = at + 1
            if follows == "]":
                return
            self._at = self._gap(self._at)
            self._forget()

    def _items_begin(self) -> int | None:
        """Return where the items begin of an array, or of the `data` of an answer; None where this is neither."""
        begins = self._char(self._at)
        if begins == "[":
            return self._at + 1
        if begins != "{":
            return None
        at = self._gap(self._at + 1)
        while self._char(at) == '"':
            name, at = self._name(at)
            if name == "data":
                return at + 1 if self._char(at) == "[" else None
            _, at = self._decoded(at)
            at = self._gap(at)
            if self._char(at) != ",":
                break
            at = self._gap(at + 1)
        return None

    def _object_end(self, at: int) -> int:
        """Return where an object ends, of which the members up to `at` were read."""
        while True:
            at = self._gap(at)
            if self._expected(at, ",}") == "}":
                return at + 1
            _, at = self._name(self._gap(at + 1))
            _, at = self._decoded(at)

    def _name(self, at: int) -> tuple[Any, int]:
        """Return the name of a member, and where its value begins."""
        name, at = self._decoded(at)
        at = self._gap(at)
        self._expected(at, ":")
        return name, self._gap(at + 1)

    def _stands_alone(self, end: int) -> bool:
        """Return whether a value fills its lines, or is followed by another value."""
        if "\n" in self._text[self._at : end]:
            return True
        at = self._gap(end)
        follows = self._char(at)
        if follows in ("", "{", "[") or "\n" in self._text[end:at]:
            return True
        return self._text.startswith(_MARK, at) or self._packed_way(at) is not None

    def _packed_way(self, at: int) -> str | None:
        """Return how a part that begins there is packed: somebody may have joined it to plain text."""
        self._char(at + packed.MAGIC_BYTES)
        return packed.way(self._text[at : at + packed.MAGIC_BYTES].encode("latin-1"))

    def _decoded(self, at: int) -> tuple[Any, int]:
        """Return the value of JSON that begins there, and where it ends."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, at)
                if end < len(self._text) or self._ended:  # a number might go on
                    return value, end
            except json.JSONDecodeError as error:
                # No token of JSON goes on in another line, so an error in a whole line stays one.
                last_line = self._text.rfind("\n")
                if self._fault is not None and error.pos > last_line:
                    raise self._fault from None
                if self._ended or error.pos < last_line:
                    raise _NoValueError from None
            except RecursionError:
                raise _NoValueError from None
            self._fill()

    def _expected(self, at: int, characters: str) -> str:
        found = self._char(at)
        if not found and self._fault is not None:
            raise self._fault
        if not found or found not in characters:
            raise _NoValueError
        return found

    def _char(self, at: int) -> str:
        """Return the character there, or `""` at the end."""
        while at >= len(self._text) and not self._ended:
            self._fill()
        return self._text[at : at + 1]

    def _gap(self, at: int) -> int:
        """Return where the blanks end."""
        while (end := _end(_BLANK, self._text, at)) == len(self._text) and not self._ended:
            self._fill()
        return end

    def _line_end(self) -> int | None:
        """Return where this line ends, or None where it is a long one, such as an answer of a list."""
        while (end := self._text.find("\n", self._at)) < 0 and len(self._text) - self._at < _KEPT_BYTES:
            if self._ended:
                return len(self._text)
            self._fill()
        return None if end < 0 else end

    def _whole_line_end(self) -> int:
        """Return where this line ends, however long it is."""
        try:
            while (end := self._text.find("\n", self._at)) < 0:
                if self._ended:
                    if self._fault is not None:
                        raise self._fault
                    return len(self._text)
                self._fill()
        except _NoValueError:
            return len(self._text)  # longer than any body
        return end

    def _is_last_line(self) -> bool:
        return self._ended and "\n" not in self._text[self._at :]

    def _taken(self, end: int) -> bytes:
        """Go to that end, and return the body up to there. Raises ArchiveError where it is too long."""
        if end - self._at > BODY_BYTES:
            raise ArchiveError(
                f"expected one body a line, or lists of them, found a body of more than {BODY_BYTES:,} bytes"
            )
        body = self._text[self._at : end].rstrip(" \t\r").encode("latin-1")
        self._at = end
        return _delivered(body)

    def _fill(self) -> None:
        """Read on: as much again as is here, so that text which is parsed anew each time is parsed a few times only."""
        if len(self._text) - self._at > BODY_BYTES:
            raise _NoValueError
        wanted = max(1, len(self._text) - self._at)
        read = [self._text]
        try:
            while wanted > 0:
                block = next(self._blocks, None)
                if block is None:
                    self._ended = True
                    break
                wanted -= len(block)
                read.append(block.decode("latin-1"))
        except ArchiveError as error:
            self._fault, self._ended = error, True
        self._text = "".join(read)

    def _forget(self) -> None:
        if self._at > _KEPT_BYTES:
            self._lines_before = self.line
            self._text = self._text[self._at :]
            self._at = 0


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Return where a pattern ends that matches nothing, too."""
    found = pattern.match(text, at)
    return at if found is None else found.end()


def _is_one_body(line: str) -> bool:
    """Return whether a line is a body, and no list of them."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(value, dict) and not isinstance(value.get("data"), list)


def _delivered(body: bytes) -> bytes:
    """Return the body that an item of `webhook_deliveries` holds whole, written anew; all else as it is."""
    if b'"webhook"' not in body:
        return body
    try:
        item = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    if not isinstance(item, dict) or not {"data", "event_type", "metadata"}.isdisjoint(item):
        return body
    webhook = item.get("webhook")
    is_whole = isinstance(webhook, dict) and "event_type" not in webhook and isinstance(webhook.get("data"), dict)
    return orjson.dumps(webhook) if is_whole else body
