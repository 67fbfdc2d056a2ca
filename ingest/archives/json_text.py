"""A text that comes in blocks, and the syntax of JSON in it."""

import json
import re
from collections.abc import Iterator
from typing import Any

from ingest.archives.errors import ArchiveError

KEPT_BYTES = 1 << 20
"""How much text that was read past is kept, so that the text is not copied after every body."""

# Only the ends of values matter here, and Python refuses whole numbers of more than 4,300 digits.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)
_BLANK = re.compile(r"[ \t\r\n]*")


class NoValueError(Exception):
    """The text here is no JSON, whatever follows."""


class JsonText:
    """The part of a text from `_at` on, of which more is read when it is needed.

    `_fault` is the error that the blocks ended with, which is raised once all that came before has been read. A value
    of more than `value_bytes` is none.
    """

    def __init__(self, blocks: Iterator[bytes], value_bytes: int) -> None:
        self._blocks = blocks
        self._value_bytes = value_bytes
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
                    raise NoValueError from None
            except RecursionError:
                raise NoValueError from None
            self._fill()

    def _expected(self, at: int, characters: str) -> str:
        found = self._char(at)
        if not found and self._fault is not None:
            raise self._fault
        if not found or found not in characters:
            raise NoValueError
        return found

    def _char(self, at: int) -> str:
        """Return the character there, or `""` at the end."""
        while at >= len(self._text) and not self._ended:
            self._fill()
        return self._text[at : at + 1]

    def _gap(self, at: int) -> int:
        """Return where the blanks end."""
        while (end := end_of(_BLANK, self._text, at)) == len(self._text) and not self._ended:
            self._fill()
        return end

    def _line_end(self) -> int | None:
        """Return where this line ends, or None where it is a long one, such as an answer of a list."""
        while (end := self._text.find("\n", self._at)) < 0 and len(self._text) - self._at < KEPT_BYTES:
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
        except NoValueError:
            return len(self._text)  # longer than any body
        return end

    def _is_last_line(self) -> bool:
        return self._ended and "\n" not in self._text[self._at :]

    def _fill(self) -> None:
        """Read on: as much again as is here, so that text which is parsed anew each time is parsed a few times only."""
        if len(self._text) - self._at > self._value_bytes:
            raise NoValueError
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
        if self._at > KEPT_BYTES:
            self._lines_before = self.line
            self._text = self._text[self._at :]
            self._at = 0


def end_of(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Return where a pattern ends that matches nothing, too."""
    found = pattern.match(text, at)
    return at if found is None else found.end()
