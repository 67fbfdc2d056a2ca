"""The bodies in a text: one a line, one over several lines, or the items of lists, byte for byte."""

import re
from collections.abc import Iterator

import orjson

from ingest.archives import packed
from ingest.archives.errors import ArchiveError
from ingest.archives.json_text import JsonText, NoValueError, end_of
from ingest.archives.text import MARK

BODY_BYTES = 16 << 20
"""The largest body. Telnyx's bodies have 1 MiB at most, and the items of its lists little more."""

_DEPTH = 3
"""The deepest nesting of arrays: `jq --slurp` over files that `jq --slurp` made."""

_MARK = MARK.decode("latin-1")
_BETWEEN_BODIES = re.compile(rf"(?:[ \t\r\n\v\f]|{_MARK})*")


class Bodies(JsonText):
    """Iterates over the bodies of a text that comes in blocks.

    A line that is no JSON, alone or together with the lines after it, is a body by itself: a cut line costs no other
    body. Raises ArchiveError, after the bodies before it, where the blocks do, where a list breaks off, or where a body
    is too long; `line` is the number of the line.
    """

    def __init__(self, blocks: Iterator[bytes]) -> None:
        super().__init__(blocks, BODY_BYTES)

    def __iter__(self) -> Iterator[bytes]:
        while self._found_next():
            yield from self._next()
        if self._fault is not None:
            raise self._fault

    def _found_next(self) -> bool:
        """Go to the next body, past blank lines and byte order marks."""
        while True:
            self._at = end_of(_BETWEEN_BODIES, self._text, self._at)
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
        except NoValueError:
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
                raise NoValueError
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

    def _taken(self, end: int) -> bytes:
        """Go to that end, and return the body up to there. Raises ArchiveError where it is too long."""
        if end - self._at > BODY_BYTES:
            raise ArchiveError(
                f"expected one body a line, or lists of them, found a body of more than {BODY_BYTES:,} bytes"
            )
        body = self._text[self._at : end].rstrip(" \t\r").encode("latin-1")
        self._at = end
        return _delivered(body)


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
