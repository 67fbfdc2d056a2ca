"""What the schedules know of the configuration. holdtime makes it; child processes get copies, so it can be pickled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from reports.request.request import Request
from schedules.schedule import Schedule

MakeRequest = Callable[[Mapping[str, Any], datetime], Request]
"""Takes the options of a report, and now; returns the request, with what is configured for all options left out.

Raises RequestError.
"""


@dataclass(frozen=True, slots=True)
class Context:
    """The schedules, the time zone of those that name none, the files to read and write, and how to make a request.

    `has_timezone` says whether the configuration names the time zone: a report tells where each of its settings is
    from.
    """

    schedules: tuple[Schedule, ...]
    timezone: str
    has_timezone: bool
    ledger: Path
    warehouse: Path
    replica: Path
    request: MakeRequest
