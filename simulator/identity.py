"""Identifiers that look like Telnyx's, from a seeded generator and simulated time."""

import base64
import random

# between 1582-10-15, where version 1 UUIDs count from, and 1970, in units of 100 ns
_GREGORIAN = 0x01B21DD213814000


def event_id(rng: random.Random) -> str:
    """Return a version 4 UUID: for events, conferences and recordings."""
    bits = rng.getrandbits(128) & ~(0xF << 76) & ~(0x3 << 62) | (0x4 << 76) | (0x2 << 62)
    digits = f"{bits:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def leg_id(rng: random.Random, at_us: int) -> str:
    """Return a version 1 UUID that holds the time `at_us`: for legs and sessions."""
    ticks = f"{at_us * 10 + _GREGORIAN + int(10 * rng.random()):015x}"
    clock = f"{0x8000 | rng.getrandbits(14):04x}"
    return f"{ticks[7:]}-{ticks[3:7]}-1{ticks[:3]}-{clock}-02420a{rng.getrandbits(24):06x}"


def control_id(rng: random.Random) -> str:
    """Return a call_control_id: `v3:` and 54 characters."""
    return "v3:" + base64.urlsafe_b64encode(rng.randbytes(40)).rstrip(b"=").decode()


def client_state(rng: random.Random, share: float, content: str) -> str | None:
    """Return `content` as base64 in a `share` of all cases, else None."""
    return base64.b64encode(content.encode()).decode() if rng.random() < share else None
