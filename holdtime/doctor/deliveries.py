"""The check of deliveries: whether they are signed by the account whose public key is configured."""

from collections.abc import Mapping
from typing import Any

from holdtime.doctor.checks import Check, Severity

MANY = 10
"""So many refusals are more than a stranger's attempt."""
HARDLY_ANY = 2
"""So few authentic deliveries may be a test."""

_DO = "is TELNYX_PUBLIC_KEY this account's? Compare it with Mission Control, API keys, Public key"


def of(deliveries: Mapping[str, Any]) -> Check:
    """Check the `deliveries` of a process's `/status`. Raises KeyError and TypeError.

    Anybody can send forged deliveries, so many of them are a fault only while hardly any authentic one came. Only those
    with a present time count, as deliveries have that Telnyx signed for another key.
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
