"""Telnyx's signature on a delivery: is it authentic, and is it fresh?

Source: Telnyx "Webhook signing"; the official SDK's `webhooks.unwrap` (4.178 and later) gives the same verdicts,
but for the spellings that we refuse and Telnyx never sends. The unit tests list those.
"""

import base64
from dataclasses import dataclass
from enum import StrEnum

from nacl.bindings import crypto_core_ed25519_is_valid_point
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from eventlog.signature_headers import SignatureHeaders

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


def parse_headers(signature: bytes | None, timestamp: bytes | None) -> SignatureHeaders | Distrust:
    """Read the header values; Distrust.MISSING or Distrust.MALFORMED when nothing can be checked with them.

    Stricter than the SDK on the timestamp, which must be 1 to 12 ASCII digits.
    """
    if signature is None or timestamp is None:
        return Distrust.MISSING
    return SignatureHeaders.parse(signature, timestamp) or Distrust.MALFORMED


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

    def matching_key(self, body: bytes, headers: SignatureHeaders) -> int | None:
        """Return the index in `keys` of the key that signed the body at the headers' time; None if none did."""
        return self.matching_key_of(headers.signed_message(body), headers.signature)

    def matching_key_of(self, message: bytes, signature: bytes) -> int | None:
        """Return the index in `keys` of the key that signed exactly that message; None if none did."""
        for index, key in enumerate(self.keys):
            if is_signed_by(key, message, signature):
                return index
        return None

    def is_fresh(self, headers: SignatureHeaders, now_us: int) -> bool:
        """Say whether the headers' time is within the tolerance of `now_us`, before or after, bounds included."""
        return abs(now_us - headers.signed_us) <= self.tolerance_us

    def distrust(
        self, body: bytes, *, signature: bytes | None, timestamp: bytes | None, now_us: int
    ) -> Distrust | None:
        """Return why to turn the delivery away, or None to let it in.

        `signature` and `timestamp` are the header values, None where absent. The signature is checked before the
        time, so STALE always means authentic.
        """
        headers = parse_headers(signature, timestamp)
        if isinstance(headers, Distrust):
            return headers
        if self.matching_key(body, headers) is None:
            return Distrust.FORGED
        return None if self.is_fresh(headers, now_us) else Distrust.STALE


def parse_keys(text: str) -> tuple[VerifyKey, ...]:
    """Return the keys of `text`, base64 separated by commas, newest first; raise UnusableKeyError.

    The error never repeats the text, which may be a secret that was pasted by mistake.
    """
    if not text.strip():
        raise UnusableKeyError(f"the public key is empty: {_WHERE}")
    parts = [part.strip() for part in text.split(",")]
    keys: list[VerifyKey] = []
    for number, part in enumerate(parts, start=1):
        key = _parse_key(part, f"public key {number} of {len(parts)}")
        if key in keys:
            raise UnusableKeyError(
                f"public key {number} of {len(parts)} is the same as key {keys.index(key) + 1}: drop it"
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
