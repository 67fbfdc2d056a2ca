"""`holdtime report`: options and settings to a report, a report to the screen or a file."""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from holdtime.commands.as_of_source import known_at, known_between
from holdtime.config.report_request import request_of
from holdtime.config.settings import Settings
from processors.facts import FACTS
from reports import formats
from reports.catalogue import registry
from reports.catalogue.difference import difference
from reports.errors import RequestError
from reports.formats import output as written
from reports.request import queue_names
from reports.source import opened
from reports.tables.report import Report


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
