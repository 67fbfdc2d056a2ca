"""`holdtime report`: options and settings to a report, a report to the screen or a file."""

import shutil
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from holdtime.settings import Settings
from reports import formats, registry, request
from reports.errors import RequestError
from reports.source import opened


def write_report(
    name: str,
    *,
    settings: Settings,
    source: Path | None,
    asked: Mapping[str, Any],
    form: str | None,
    output: Path | None,
    raw: bool,
    now: datetime,
) -> None:
    """Print the report, or write it to `output`. What was not asked for is as the settings say. Raises RequestError."""
    form = form or _form_of(output)
    defaults = settings.configuration.service_level
    wanted = request.parse(
        now=now,
        **{
            "tz": settings.configuration.timezone,
            "threshold_secs": defaults.threshold_secs,
            "short_abandon_secs": defaults.short_abandon_secs,
            "target": defaults.target,
            **{option: value for option, value in asked.items() if value is not None},
        },
    )
    with opened(source or settings.environment.replica) as read:
        report = registry.run(name, read, wanted)
    people = output is None and form == "table" and sys.stdout.isatty()
    text = formats.render(report, form, raw=raw, width=_width() if people else None, color=people)
    if output is None:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8", newline="")


def _form_of(output: Path | None) -> str:
    if output is None:
        return "table"
    form = output.suffix.removeprefix(".")
    if form not in formats.FORMATS:
        raise RequestError(
            f"{output} does not say which format is meant: expected --format, or a name that ends in one of "
            f"{', '.join('.' + known for known in formats.FORMATS)}"
        )
    return form


def _width() -> int:
    return shutil.get_terminal_size().columns
