"""Texts out of archives: in whatever they are written and packed; what holds no text is named."""

import gzip
import io
import os
import tarfile
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.archives import packed, zipped
from ingest.archives.archive import texts
from ingest.archives.errors import ArchiveError

EVENT = '{"data": {"id": "1", "queue": "π😀"}}'
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


def read(content: bytes) -> dict[str, list[bytes] | str]:
    """The bodies of every text, or what is wrong with it."""
    found: dict[str, list[bytes] | str] = {}
    for name, bodies in texts(io.BufferedReader(io.BytesIO(content))):
        try:
            found[name] = list(bodies)
        except ArchiveError as error:
            found[name] = str(error)
    return found


def zipped_up(files: dict[str, bytes], way: int = zipfile.ZIP_DEFLATED) -> bytes:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", way) as packing:
        for name, content in files.items():
            packing.writestr(name, content)
    return kept.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_text_may_be_in_any_unicode(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    lines = f"{EVENT}\r\n" * 400
    assert read(pack(lines.encode(encoding))) == {"": [EVENT.encode()] * 400}


def test_utf16_that_is_cut_or_has_half_a_character_is_damaged() -> None:
    for content in (EVENT.encode("utf-16")[:-1], "{\ud800}".encode("utf-16", "surrogatepass")):
        assert "is damaged: expected UTF-16" in read(content)[""]


def a_tar() -> bytes:
    kept = io.BytesIO()
    with tarfile.open(fileobj=kept, mode="w") as packing:
        member = tarfile.TarInfo("a.ndjson")
        member.size = len(EVENT.encode())
        packing.addfile(member, io.BytesIO(EVENT.encode()))
    return kept.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (PNG, r"a picture (PNG)"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"SQLite format 3\0" + b"\0" * 84, "a SQLite database"),
        (b"<html><body>{}</body></html>", "XML or HTML"),
        (bytes(range(128, 256)), "no text"),
        (a_tar(), "a tar archive"),
        (gzip.compress(b"x", mtime=0), "an archive in an archive (gzip)"),
        (zipped_up({"a": b"x"}), "an archive in an archive (zip)"),
    ],
)
def test_what_is_no_text_is_named(content: bytes, kind: str) -> None:
    assert str(read(gzip.compress(content))[""]).startswith(f"is {kind}: expected webhook bodies")
    event = EVENT.encode()
    assert read(zipped_up({"a": event, "b": content, "c": event})) == {
        "a": [event],
        "b": read(gzip.compress(content))[""],
        "c": [event],
    }


@pytest.mark.parametrize("content", [b"", b"\n", b"time,queue\n", b"\0\n" + EVENT.encode(), b"{\0}"])
def test_lines_are_lines_whatever_is_in_them(content: bytes) -> None:
    assert isinstance(read(content)[""], list)


def test_what_a_mac_puts_into_a_zip_is_left_out() -> None:
    files = {"__MACOSX/._a": b"\0\5\x16\7", ".DS_Store": b"\0\0\0\1Bud1", "x/.DS_Store": b"\0", "a": EVENT.encode()}
    assert read(zipped_up(files)) == {"a": [EVENT.encode()]}


@pytest.mark.parametrize("way", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_zip_that_needs_more_memory_than_it_says_is_refused(way: int) -> None:
    assert "is packed in a way that few programs read" in read(zipped_up({"a": EVENT.encode()}, way))["a"]


def test_an_encrypted_or_damaged_member_is_named_and_the_others_are_read() -> None:
    whole = bytearray(zipped_up({"a": EVENT.encode(), "b": EVENT.encode()}, zipfile.ZIP_STORED))
    damaged = whole.replace(b'"id": "1"', b'"id": "2"', 1)
    assert "is damaged: zip says Bad CRC-32" in read(bytes(damaged))["a"]
    assert read(bytes(damaged))["b"] == [EVENT.encode()]
    at = whole.index(b"PK\1\2") + 8
    whole[at] |= 1
    assert "is encrypted" in read(bytes(whole))["a"]


def test_a_zip_that_is_cut_off_or_full_of_names_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = zipped_up({f"{number}": b"" for number in range(50)})
    with pytest.raises(ArchiveError, match="is cut off: expected the directory at the end of a zip"):
        read(whole[:-30])
    monkeypatch.setattr(zipped, "DIRECTORY_BYTES", 1000)
    with pytest.raises(ArchiveError, match="too many files"):
        read(whole)


def test_the_members_of_a_zip_grow_together_no_more_than_one_file_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "FREE_BYTES", 1 << 20)
    found = read(zipped_up({f"{number}": b"\n" * (1 << 20) for number in range(6)}))
    assert found["0"] == []
    assert "more than 200 times its size" in found["5"]


def test_a_zip_through_a_pipe_is_kept_up_to_a_bound(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def piped(content: bytes) -> list[list[bytes]]:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        writer = threading.Thread(target=lambda: pipe.write_bytes(content))
        writer.start()
        try:
            with pipe.open("rb") as source:
                return [list(bodies) for _, bodies in texts(source)]
        finally:
            writer.join(10)
            pipe.unlink()

    content = zipped_up({"a": EVENT.encode()})
    assert piped(content) == [[EVENT.encode()]]
    monkeypatch.setattr(zipped, "KEPT_BYTES", len(content) - 1)
    with pytest.raises(ArchiveError, match="expected the name of the file"):
        piped(content)
