"""`holdtime report`: options and settings to a report, a report to the screen or a file."""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from holdtime.commands.as_of_source import known_at, known_between
from holdtime.config.queue_policies import policies as policies_of
from holdtime.config.settings import Configuration, Settings
from processors.facts import FACTS
from reports import formats
from reports.catalogue import registry
from reports.catalogue.difference import difference
from reports.errors import RequestError
from reports.formats import output as written
from reports.request import queue_names, request
from reports.request.effective_policy import QueuePolicy
from reports.request.request import Request, SettingOrigin
from reports.source import opened
from reports.tables.report import Report

# What an option says holds for every queue, whatever was agreed.
_AGREED = {"threshold_secs", "short_abandon_secs", "target", "variant"}


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
    bom: bool = False,
    section: str | None = None,
) -> None:
    """Print the report, or write it to `output`. What was not asked for is as the settings say. Raises RequestError.

    With `as_of`, a position of the log, the text depends on what had landed by then, the options and the definitions:
    neither on the clock nor on what landed later: `yesterday` is the day before that. `section` names the table that a
    format with room for one writes. `bom` makes CSV begin with a byte order mark.
    """
    registry.require(name)
    form = form or _form_of(output)
    wanted = request_of(settings, asked, now)
    replica = source or settings.environment.replica
    with opened(replica) if as_of is None else known_at(replica, as_of) as read:
        wanted = wanted if read.as_of is None else request_of(settings, asked, read.as_of)
        queue_names.require(read, wanted)
        report = registry.run(name, read, wanted)
    _write(report if section is None else report.led_by(section), form, output, raw=raw, bom=bom)


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
    bom: bool = False,
) -> None:
    """Print or write what differs between the report as of one position and as of another, and which events did it.

    `events` makes CSV hold the events, not the figures. Raises RequestError.
    """
    registry.require(name)
    form = form or _form_of(output)
    wanted = request_of(settings, asked, now)
    types = {fact.table: fact.event_types for fact in FACTS}
    with known_between(source or settings.environment.replica, first, last) as (before, after):
        queue_names.require(after, wanted)
        report = difference(name, before, after, wanted, types)
    _write(replace(report, main="events") if events else report, form, output, raw=raw, bom=bom)


def _write(report: Report, form: str, output: Path | None, *, raw: bool, bom: bool) -> None:
    if bom and form != "csv":
        raise RequestError(f"--bom is for csv, and {form} was asked for: leave it out, or ask for --format csv")
    if form in formats.PICTURES:
        _write_pictures(report, form, output)
        return
    if form in formats.FILES:
        _write_file(formats.encoded(report, form), form, output)
        return
    people = output is None and form == "table" and sys.stdout.isatty()
    text = formats.render(report, form, raw=raw, width=_width() if people else None, color=people)
    content = text.encode("utf-8-sig" if bom else "utf-8")
    if output is not None:
        written.write({output: content})
    elif form == "table":
        sys.stdout.write(text)  # in the terminal's own encoding: it is for people
    else:
        written.standard_output(content)


def _write_file(content: bytes, form: str, output: Path | None) -> None:
    if output is not None:
        written.write({output: content})
    elif sys.stdout.isatty():
        raise RequestError(f"{form} is not for a terminal: expected --output FILE.{form}")
    else:
        written.standard_output(content)


def _write_pictures(report: Report, form: str, output: Path | None) -> None:
    """Write each chart into a folder as REPORT-CHART.FORM, or next to a file of that format as FILE-CHART.FORM."""
    if output is None:
        raise RequestError(f"{form} has a file for each chart: expected --output FOLDER")
    charts = formats.pictures(report, form)
    if not charts:
        raise RequestError(f"the report {report.name} has no chart of this period: expected another format")
    is_file = output.suffix == f".{form}"
    folder, stem = (output.parent, output.stem) if is_file else (output, report.name)
    written.write({folder / f"{stem}-{name}.{form}": content for name, content in charts.items()})


def request_of(settings: Settings, asked: Mapping[str, Any], now: datetime) -> Request:
    """Return what was asked for, and of the rest what is configured, each with where it comes from."""
    configured = settings.configuration
    levels = configured.service_level
    options = {name: value for name, value in asked.items() if value is not None}
    overridden: dict[str, Any] = dict.fromkeys(options.keys() & _AGREED)
    policies = tuple(replace(each, **overridden) for each in policies_of(configured))
    queues = options.get("queues") or (() if "timezone" in configured.model_fields_set else _named(policies))
    zone = _zone_of(policies, queues)
    defaults = {
        "tz": zone or configured.timezone,
        "threshold_secs": levels.threshold_secs,
        "short_abandon_secs": levels.short_abandon_secs,
        "target": levels.target,
        "variant": levels.variant,
        "policies": policies,
        "completeness_floor": configured.completeness.floor,
    }
    in_file = levels.model_fields_set | ({"tz"} if _tells_zone(configured, queues if zone else ()) else set())
    in_file |= {"completeness_floor"} if configured.completeness.model_fields_set else set()
    origins = dict.fromkeys(in_file, SettingOrigin.FILE) | {
        name: SettingOrigin.OPTION for name in options if options[name] != ()
    }
    return request.parse(now=now, origins=origins, **{**defaults, **options})


def _tells_zone(configured: Configuration, queues: tuple[str, ...]) -> bool:
    """Tell whether the file names a time zone, for all or for one of these queues."""
    own = {each.name for each in configured.queue if each.timezone is not None}
    return "timezone" in configured.model_fields_set or not own.isdisjoint(queues)


def _named(policies: tuple[QueuePolicy, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.queue for each in policies))


def _zone_of(policies: tuple[QueuePolicy, ...], queues: tuple[str, ...]) -> str | None:
    """Return the time zone that all these queues have now, if they have one in common."""
    latest = {each.queue: each.tz for each in sorted(policies, key=lambda each: (each.since is not None, each.since))}
    zones = {latest.get(queue) for queue in queues}
    return zones.pop() if len(zones) == 1 else None


def _form_of(output: Path | None) -> str:
    if output is None:
        return "table"
    form = output.suffix.removeprefix(".")
    if form not in (*formats.EVERY, *formats.PICTURES):
        raise RequestError(
            f"{output} does not say which format is meant: expected --format, or a name that ends in one of "
            f"{', '.join('.' + known for known in (*formats.EVERY, *formats.PICTURES))}"
        )
    return form


def _width() -> int:
    return shutil.get_terminal_size().columns
