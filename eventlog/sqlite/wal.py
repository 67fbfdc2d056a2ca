"""The WAL beside a SQLite file: every frame that was written to it, whether or not SQLite can use it.

When SQLite opens a file, it reads a WAL's frames up to the first with a wrong checksum, and silently drops later ones,
although they were confirmed. Format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
"""

from pathlib import Path
from struct import Struct
from typing import NamedTuple

PAGE_BYTES = 4096
"""The page size of every log: SQLite's default."""

_HEADER = Struct(">8I")
_FRAME = Struct(">6I")
_FRAME_BYTES = _FRAME.size + PAGE_BYTES
_LITTLE, _BIG = 0x377F0682, 0x377F0683
_MAX_FRAMES = 1 << 20
_GENERATIONS = 1 << 16


class Frame(NamedTuple):
    """A version of a page; `number` counts the frames of the WAL from 1. `commits` says that it ends a transaction.

    Either of two salts shows that a frame belongs to the WAL, so a damaged one is still recognized. The first salt
    counts how often the WAL was begun anew: an older frame has a lower one. A frame with neither salt is damaged, and
    may have ended a transaction. A frame of zeros was never written: a loss of power leaves such frames.
    """

    number: int
    page: int
    commits: bool
    at: int
    is_known: bool = True


def path_of(file: Path) -> Path:
    """Return where the WAL of a SQLite file is."""
    return file.with_name(file.name + "-wal")


def frames(file: Path) -> list[Frame]:
    """Return the frames of a SQLite file's WAL since it was last begun anew, sound or not; none where there is no WAL.

    Where the WAL's own header is damaged, no frame is known to be old, and all are returned.
    """
    try:
        wal = path_of(file).open("rb")
    except FileNotFoundError:
        return []
    with wal:
        header = wal.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return []
        salts = _HEADER.unpack(header)[4:6] if _is_sound(header) else None
        found, is_over = [], False
        for number in range(1, _MAX_FRAMES):
            at = _HEADER.size + (number - 1) * _FRAME_BYTES
            wal.seek(at)
            frame = wal.read(_FRAME_BYTES)
            if len(frame) < _FRAME_BYTES:
                break
            page, size, *of = _FRAME.unpack_from(frame)[:4]
            if salts is None or of[0] == salts[0] or of[1] == salts[1]:
                found.append(Frame(number, page, size != 0, at + _FRAME.size))
            elif not any(of) or 0 < salts[0] - of[0] & 0xFFFFFFFF <= _GENERATIONS:
                is_over = True  # later frames are older still
            elif not is_over:
                found.append(Frame(number, page, True, at + _FRAME.size, is_known=False))
    return found


def last_commit(of: list[Frame]) -> int:
    """Return the number of the last frame that ends a transaction; 0 where none does."""
    return max((frame.number for frame in of if frame.commits), default=0)


def _is_sound(header: bytes) -> bool:
    magic, *rest = _HEADER.unpack(header)
    if magic not in {_LITTLE, _BIG}:
        return False
    words = Struct(">6I" if magic == _BIG else "<6I").unpack_from(header)
    first = second = 0
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return [first, second] == rest[-2:]
