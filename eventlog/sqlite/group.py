"""A group: the records of one commit and of one kind, as one row of the SQLite log, with a checksum over the row."""

import sys
from array import array
from collections.abc import Sequence
from struct import pack
from typing import NamedTuple, Self
from zlib import crc32

from eventlog.log import (
    DAMAGED,
    Origin,
    Record,
)
from eventlog.signature_headers import SIGNATURE_LENGTH

PARTITION = 0
"""The only partition of a SQLite log."""

TIMESTAMP_LENGTH = 12
"""A timestamp has 1 to 12 digits; zero bytes follow those of a shorter one."""

_ORIGINS = {origin.value.encode() for origin in Origin}


class Group(NamedTuple):
    """A row of `groups`. Texts are bytes: a damaged one may be no UTF-8.

    The records have the positions up to `last_position`. Integers in blobs are little-endian.
    """

    last_position: int
    records: int
    origin: bytes
    verified: int
    rejection: bytes | None
    newest_us: int
    checksum: int
    received_us: bytes
    sizes: bytes
    signatures: bytes
    timestamps: bytes
    bodies: bytes

    @classmethod
    def of(cls, last_position: int, records: Sequence[Record]) -> Self:
        """Return the group of those records, of one origin, verification and rejection; all are signed, or none is."""
        first, count = records[0], len(records)
        received_us = [record.received_us for record in records]
        bodies = [record.body for record in records]
        signed = [record.signature_headers for record in records if record.signature_headers is not None]
        return cls(
            last_position,
            count,
            first.origin.value.encode(),
            int(first.verified),
            None if first.rejection is None else first.rejection.encode(),
            max(received_us),
            0,
            pack(f"<{count}q", *received_us),
            pack(f"<{count}i", *map(len, bodies)),
            b"".join([headers.signature for headers in signed]),
            b"".join([headers.timestamp.ljust(TIMESTAMP_LENGTH, b"\0") for headers in signed]),
            b"".join(bodies),
        ).with_checksum()

    @classmethod
    def lost(cls, last_position: int, records: int, at_us: int, body: bytes = b"") -> Self:
        """Return the group that stands for so many lost records; `body` is the damaged rest of them."""
        bodies = [body] + [b""] * (records - 1)
        return cls.of(
            last_position, [Record(each, at_us, Origin.WEBHOOK, verified=False, rejection=DAMAGED) for each in bodies]
        )

    @property
    def first_position(self) -> int:
        return self.last_position - self.records + 1

    def with_checksum(self) -> Self:
        """Return the group with the checksum that it must have."""
        return self._replace(checksum=self.expected_checksum())

    def expected_checksum(self) -> int:
        """Return the CRC-32 of all other columns of the row. Raises TypeError where a blob is missing."""
        checksum = crc32(repr(self[:6]).encode())
        for blob in (self.received_us, self.sizes, self.signatures, self.timestamps, self.bodies):
            checksum = crc32(blob, checksum)
        return checksum

    def is_sound(self) -> bool:
        """Say whether the row is as it was written, and its lengths agree with each other."""
        try:
            return self.checksum == self.expected_checksum() and self._is_bounded()
        except TypeError:
            return False

    def _is_bounded(self) -> bool:
        count = self.records
        if len(self.sizes) != 4 * count or count < 1:
            return False
        sizes = array("i", self.sizes)
        if sys.byteorder == "big":
            sizes.byteswap()
        return (
            min(sizes) >= 0
            and sum(sizes) == len(self.bodies)
            and len(self.received_us) == 8 * count
            and len(self.signatures) in {0, SIGNATURE_LENGTH * count}
            and len(self.timestamps) * SIGNATURE_LENGTH == len(self.signatures) * TIMESTAMP_LENGTH
            and self.origin in _ORIGINS
            and self.first_position > 0
        )
