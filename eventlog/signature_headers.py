"""The two HTTP headers that vouch for a delivery: the log keeps them, so that a signature can be checked again."""

import re
from binascii import a2b_base64
from typing import NamedTuple, Self

SIGNATURE_LENGTH = 64
"""Bytes of an Ed25519 signature."""

_SECONDS = re.compile(rb"[0-9]{1,12}")


class SignatureHeaders(NamedTuple):
    """The two headers, well-formed, and not believed yet.

    `signature` is 64 bytes. `timestamp` is the header as it was spelled, Unix seconds, because that is what was signed.
    """

    signature: bytes
    timestamp: bytes

    @classmethod
    def parse(cls, signature: bytes, timestamp: bytes) -> Self | None:
        """Read the header values: base64 and 1 to 12 ASCII digits. None for any other spelling."""
        if _SECONDS.fullmatch(timestamp) is None:
            return None
        try:
            raw = a2b_base64(signature, strict_mode=True)
        except ValueError:
            return None
        return cls(raw, timestamp) if len(raw) == SIGNATURE_LENGTH else None

    @classmethod
    def parse_stored(cls, signature: bytes, timestamp: bytes) -> Self:
        """Read what a log holds; headers that cannot be read become empty ones, which no key matches.

        The SQLite log holds the signature as 64 bytes and pads the timestamp with zero bytes. Kafka holds the headers
        as they came.
        """
        timestamp = timestamp.rstrip(b"\0")
        if len(signature) == SIGNATURE_LENGTH:
            return cls(signature, timestamp)
        return cls.parse(signature, timestamp) or cls(b"", b"")

    def signed_message(self, body: bytes) -> bytes:
        """Return what the sender signed, if the sender sent that body."""
        return b"%b|%b" % (self.timestamp, body)

    @property
    def signed_us(self) -> int:
        """When the sender says it signed: Unix time in microseconds."""
        return int(self.timestamp) * 1_000_000
