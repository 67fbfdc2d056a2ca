"""The text of an archive: its encoding, and whether it may hold events at all."""

import codecs
import re
from collections.abc import Iterator

import orjson

from ingest.archives import packed, zipped
from ingest.archives.errors import ArchiveError

HEAD_BYTES = 4096
MARK = codecs.BOM_UTF8

# The marks of UTF-32 begin like those of UTF-16; without a mark, the first two characters of JSON tell.
_ENCODINGS = (
    (re.compile(re.escape(codecs.BOM_UTF32_LE) + b"|" + re.escape(codecs.BOM_UTF32_BE)), "utf-32"),
    (re.compile(re.escape(codecs.BOM_UTF16_LE) + b"|" + re.escape(codecs.BOM_UTF16_BE)), "utf-16"),
    (re.compile(rb"[{\[]\0[\x01-\x7f]\0"), "utf-16-le"),
    (re.compile(rb"\0[{\[]\0[\x01-\x7f]"), "utf-16-be"),
)
_KINDS = (
    (0, b"\x89PNG", "a picture (PNG)"),
    (0, b"\xff\xd8\xff", "a picture (JPEG)"),
    (0, b"GIF8", "a picture (GIF)"),
    (0, b"%PDF", "a PDF"),
    (0, b"SQLite format 3\0", "a SQLite database"),
    (8, b"DUCK", "a DuckDB database"),
    (0, b"PAR1", "a Parquet file"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"\x04\x22\x4d\x18", "an LZ4 file"),
    (257, b"ustar", "a tar archive"),
)
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def utf8(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the same text in UTF-8, a block at a time. Raises ArchiveError where it is no text with events."""
    head, fault = b"", None
    try:
        for block in blocks:
            head += block
            if len(head) >= HEAD_BYTES:
                break
    except ArchiveError as error:
        fault = error
    whole = _joined(head, fault, blocks)
    encoding = next((encoding for begins, encoding in _ENCODINGS if begins.match(head)), None)
    if encoding is not None:
        yield from _decoded(whole, encoding)
    elif kind := _foreign(head):
        raise ArchiveError(
            f"is {kind}: expected webhook bodies as JSON, one a line, or whole answers of Telnyx's lists: "
            "unpack or export them, and replay what comes out"
        )
    else:
        yield from whole


def _joined(head: bytes, fault: ArchiveError | None, blocks: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    if fault is not None:
        raise fault
    yield from blocks


def _decoded(blocks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for block in blocks:
            yield decoder.decode(block).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise ArchiveError(f"is damaged: expected {encoding.upper()}, found {error}: get the file anew") from None


def _foreign(head: bytes) -> str | None:
    """Return the kind of a file that begins so; None where it may be lines of JSON, of which one is enough."""
    if name := packed.way(head) or ("zip" if head.startswith(zipped.BEGINS) else None):
        return f"an archive in an archive ({name})"
    for at, begins, kind in _KINDS:
        if head.startswith(begins, at):
            return kind
    begins = head.removeprefix(MARK).lstrip()[:1]
    if begins in (b"", b"{", b"[") or any(_is_json(line) for line in head.splitlines()):
        return None
    if begins == b"<":
        return "XML or HTML"
    return "no text" if _CONTROLS.search(head) or not _is_utf8(head) else None


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def _is_utf8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True
