"""`holdtime report`: options and settings to a report, a report to the screen or a file."""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from holdtime.known import known_at, known_between
from holdtime.settings import Settings
from processors.facts import FACTS
from reports import formats, registry, request
from reports.difference import difference
from reports.errors import RequestError
from reports.report import Report
from reports.request import Origin, Request
from reports.source import opened


def write_report(
    name: str,
    *,
    settings: Settings,
    source: Path | None,
    asked: Mapping[str, Any],
    as_of: str | None,
    form: str | None,
    output: Path | None,
    raw: bool,
    now: datetime,
) -> None:
    """Print the report, or write it to `output`. What was not asked for is as the settings say. Raises RequestError.

    With `as_of`, a position of the log, the text depends on what had landed by then, the options and the definitions:
    neither on the clock nor on what landed later.
    """
    registry.require(name)
    form = form or _form_of(output)
    wanted = request_of(settings, asked, now)
    replica = source or settings.environment.replica
    with opened(replica) if as_of is None else known_at(replica, as_of) as read:
        report = registry.run(name, read, wanted if read.as_of is None else replace(wanted, now=read.as_of))
    _write(report, form, output, raw=raw)


def write_difference(
    name: str,
    first: str,
    last: str | None,
    *,
    settings: Settings,
    source: Path | None,
    asked: Mapping[str, Any],
    events: bool,
    form: str | None,
    output: Path | None,
    raw: bool,
    now: datetime,
) -> None:
    """Print or write what differs between the report as of one position and as of another, and which events did it.

    `events` makes CSV hold the events, not the figures. Raises RequestError.
    """
    registry.require(name)
    form = form or _form_of(output)
    wanted = request_of(settings, asked, now)
    types = {fact.table: fact.event_types for fact in FACTS}
    with known_between(source or settings.environment.replica, first, last) as (before, after):
        report = difference(name, before, after, wanted, types)
    _write(replace(report, main="events") if events else report, form, output, raw=raw)


def _write(report: Report, form: str, output: Path | None, *, raw: bool) -> None:
    people = output is None and form == "table" and sys.stdout.isatty()
    text = formats.render(report, form, raw=raw, width=_width() if people else None, color=people)
    if output is None:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8", newline="")


def request_of(settings: Settings, asked: Mapping[str, Any], now: datetime) -> Request:
    """Return what was asked for, and of the rest what is configured, each with where it comes from."""
    configured = settings.configuration
    levels = configured.service_level
    defaults = {
        "tz": configured.timezone,
        "threshold_secs": levels.threshold_secs,
        "short_abandon_secs": levels.short_abandon_secs,
        "target": levels.target,
        "completeness_floor": configured.completeness.floor,
    }
    in_file = levels.model_fields_set | ({"tz"} if "timezone" in configured.model_fields_set else set())
    in_file |= {"completeness_floor"} if configured.completeness.model_fields_set else set()
    options = {name: value for name, value in asked.items() if value is not None}
    origins = dict.fromkeys(in_file, Origin.FILE) | {name: Origin.OPTION for name in options if options[name] != ()}
    return request.parse(now=now, origins=origins, **{**defaults, **options})


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
