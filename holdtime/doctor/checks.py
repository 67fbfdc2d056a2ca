"""One thing that the doctor looked at."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """What a check found. Only `failed` needs somebody now."""

    OK = "ok"
    NOTE = "note"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, what was found, and what to do about it."""

    name: str
    verdict: Severity
    found: str
    do: str = ""
