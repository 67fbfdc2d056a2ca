"""One thing that the doctor looked at."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How a check ended. Only `failed` needs a person now."""

    OK = "ok"
    NOTE = "note"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check, in words, and what to do about it."""

    name: str
    verdict: Severity
    found: str
    do: str = ""
