"""How sending one message to one recipient ended."""

from dataclasses import dataclass
from enum import StrEnum


class SendResult(StrEnum):
    """The message arrived; it was refused, and can be sent again; or nobody can know."""

    SENT = "sent"
    REFUSED = "refused"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """A result and why, in words without anything secret or personal."""

    result: SendResult
    reason: str = ""
