"""The check of deliveries: whether those that come are signed by the account whose public key is configured."""

from collections.abc import Mapping
from typing import Any

from holdtime.doctor.checks import Check, Severity

MANY = 10
"""Refusals that are more than somebody's attempt."""
HARDLY_ANY = 2
"""Authentic deliveries that are no more than somebody's attempt."""

_DO = "is TELNYX_PUBLIC_KEY this account's? Compare it with Mission Control, API keys, Public key"


def of(deliveries: Mapping[str, Any]) -> Check:
    """Judge what a process that takes deliveries says of them in `/status`. Raises KeyError and TypeError.

    Anybody can send forged ones, so that many of them came is a fault only while hardly any other did; and only those
    count that say a time of now, as one that Telnyx signed for another key does.
    """
    authentic, accepted, refused = deliveries["authentic"], deliveries["accepted"], deliveries["refused"]
    since, lately = _minute(deliveries["since"]), deliveries["refused_since_authentic"]
    if deliveries["refused_timely"] >= MANY and authentic <= HARDLY_ANY:
        others = f"{accepted:,} accepted" if accepted else "none accepted"
        return Check("deliveries", Severity.FAILED, f"{refused:,} deliveries were refused since {since}, {others}", _DO)
    if lately >= MANY:
        last = _minute(deliveries["last_accepted_at"])
        found = f"{lately:,} deliveries were refused since the last that was signed by our key, accepted at {last}"
        return Check("deliveries", Severity.NOTE, found, "where none is accepted from now on: " + _DO)
    if refused:
        found = f"{accepted:,} accepted since {since}, {refused:,} refused that none of our keys signed"
        return Check(
            "deliveries", Severity.NOTE, found, "somebody else posts here, or Telnyx signs with a newer key, too"
        )
    return Check("deliveries", Severity.OK, f"{accepted:,} accepted since {since}, none refused")


def _minute(at: str | None) -> str:
    return "a time unknown" if at is None else f"{at[:16].replace('T', ' ')} UTC"
