"""Telnyx's signature on a delivery: is it authentic, and is it fresh?

Source: Telnyx "Webhook signing"; the official SDK's `webhooks.unwrap` (4.178 and later) gives the same verdicts,
but for the spellings that we refuse and Telnyx never sends. The unit tests list those.
"""

import base64
import re
from binascii import a2b_base64
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from nacl.bindings import crypto_core_ed25519_is_valid_point
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

_SECONDS = re.compile(rb"[0-9]{1,12}")
SIGNATURE_LENGTH = 64
_KEY_LENGTH = 32
_WHERE = "copy the base64 key from Mission Control, API keys, Public key"


class Distrust(StrEnum):
    """Why a delivery was turned away. Dashboards count these names."""

    MISSING = "missing"
    MALFORMED = "malformed"
    STALE = "stale"
    FORGED = "forged"


class UnusableKeyError(ValueError):
    """The configured public keys cannot be used; the text says what was expected, what came and what to do."""


class Seal(NamedTuple):
    """The two headers that vouch for a delivery, well-formed, and not believed yet.

    `signature` is 64 bytes. `timestamp` is the header as it was spelled, Unix seconds, because that is what was signed.
    """

    signature: bytes
    timestamp: bytes

    def over(self, body: bytes) -> bytes:
        """What the sender signed, if that is the body."""
        return b"%b|%b" % (self.timestamp, body)

    @property
    def signed_us(self) -> int:
        """When the sender says it signed: Unix time in microseconds."""
        return int(self.timestamp) * 1_000_000


def seal(signature: bytes | None, timestamp: bytes | None) -> Seal | Distrust:
    """Read the header values; Distrust.MISSING or Distrust.MALFORMED when nothing can be checked with them.

    Stricter than the SDK on the timestamp, which must be 1 to 12 ASCII digits.
    """
    if signature is None or timestamp is None:
        return Distrust.MISSING
    if _SECONDS.fullmatch(timestamp) is None:
        return Distrust.MALFORMED
    try:
        raw = a2b_base64(signature, strict_mode=True)
    except ValueError:
        return Distrust.MALFORMED
    return Seal(raw, timestamp) if len(raw) == SIGNATURE_LENGTH else Distrust.MALFORMED


def is_signed_by(key: VerifyKey, message: bytes, signature: bytes) -> bool:
    """Say whether `signature` is the key's Ed25519 signature over `message`. Never raises, whatever the bytes."""
    try:
        key.verify(message, signature)
    except (BadSignatureError, ValueError):  # a signature of another length than 64 is a ValueError to PyNaCl
        return False
    return True


@dataclass(frozen=True, slots=True)
class Verifier:
    """Checks Telnyx's Ed25519 signature against the account's keys, newest first.

    There are several keys only while they rotate: Telnyx names no key in a delivery, so each is tried in turn.
    """

    keys: tuple[VerifyKey, ...]
    tolerance_us: int = 300_000_000

    def signer(self, body: bytes, seal: Seal) -> int | None:
        """Return which of `keys` signed the body at the seal's time, as a place in the tuple; None if none did."""
        return self.signer_of(seal.over(body), seal.signature)

    def signer_of(self, message: bytes, signature: bytes) -> int | None:
        """Return which of `keys` signed just that message, as a place in the tuple; None if none did."""
        for place, key in enumerate(self.keys):
            if is_signed_by(key, message, signature):
                return place
        return None

    def is_fresh(self, seal: Seal, now_us: int) -> bool:
        """Say whether the seal's time is within the tolerance of `now_us`, before or after, bounds included."""
        return abs(now_us - seal.signed_us) <= self.tolerance_us

    def distrust(
        self, body: bytes, *, signature: bytes | None, timestamp: bytes | None, now_us: int
    ) -> Distrust | None:
        """Return why to turn the delivery away, or None to let it in.

        `signature` and `timestamp` are the header values, None where absent. The signature is checked before the
        time, so STALE always means authentic.
        """
        sealed = seal(signature, timestamp)
        if isinstance(sealed, Distrust):
            return sealed
        if self.signer(body, sealed) is None:
            return Distrust.FORGED
        return None if self.is_fresh(sealed, now_us) else Distrust.STALE


def parse_keys(text: str) -> tuple[VerifyKey, ...]:
    """Return the keys of `text`, base64 separated by commas, newest first; raise UnusableKeyError.

    The error never repeats the text: what was pasted by mistake may be a secret.
    """
    if not text.strip():
        raise UnusableKeyError(f"the public key is empty: {_WHERE}")
    parts = [part.strip() for part in text.split(",")]
    keys: list[VerifyKey] = []
    for place, part in enumerate(parts, start=1):
        key = _parse_key(part, f"public key {place} of {len(parts)}")
        if key in keys:
            raise UnusableKeyError(
                f"public key {place} of {len(parts)} is the same as key {keys.index(key) + 1}: drop it"
            )
        keys.append(key)
    return tuple(keys)


def _parse_key(part: str, name: str) -> VerifyKey:
    if not part:
        raise UnusableKeyError(f"{name} is empty: put one comma between two keys and none at either end")
    if part.startswith("KEY"):
        raise UnusableKeyError(f"{name} looks like an API key, which is a secret, not a public key: {_WHERE}")
    try:
        raw = base64.b64decode(part, validate=True)
    except ValueError:
        raise UnusableKeyError(f"{name} is not base64, it has {len(part)} characters: {_WHERE}") from None
    if len(raw) != _KEY_LENGTH:
        raise UnusableKeyError(f"{name} should decode to {_KEY_LENGTH} bytes, it has {len(raw)}: {_WHERE}")
    if not crypto_core_ed25519_is_valid_point(raw):
        # All zeros, the identity and other points of small order: signatures under them prove nothing.
        raise UnusableKeyError(f"{name} is {_KEY_LENGTH} bytes, but not an Ed25519 public key: {_WHERE}")
    return VerifyKey(raw)
