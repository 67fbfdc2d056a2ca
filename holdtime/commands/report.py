"""`holdtime report` and `holdtime report diff`: options and settings to a report, and the report to where it goes."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from holdtime.commands.as_of_source import known_at, known_between
from holdtime.commands.destination import Destination
from holdtime.config.requests import request_of
from holdtime.config.settings import Settings
from processors.facts import FACTS
from reports.catalogue import registry
from reports.catalogue.difference import difference
from reports.request import queue_names
from reports.request.options import ReportOptions
from reports.source import opened


def write_report(
    name: str,
    options: ReportOptions,
    destination: Destination,
    *,
    settings: Settings,
    source: Path | None,
    as_of: str | None,
    section: str | None,
    now: datetime,
) -> None:
    """Make a report and write it to its destination, from the replica unless `source` names another file.

    With `as_of`, a position of the log, the text depends on what had landed by then, the options and the definitions,
    and neither on the clock nor on what landed later: `yesterday` is the day before that. `section` names the table
    that a format with room for one writes. Raises RequestError.
    """
    registry.require(name)
    request = request_of(settings.configuration, options, now)
    replica = source or settings.environment.replica
    with opened(replica) if as_of is None else known_at(replica, as_of) as read:
        if read.as_of is not None:
            request = request_of(settings.configuration, options, read.as_of)
        queue_names.require(read, request)
        report = registry.run(name, read, request)
    destination.write(report if section is None else report.led_by(section))


def write_difference(
    name: str,
    first: str,
    last: str | None,
    options: ReportOptions,
    destination: Destination,
    *,
    settings: Settings,
    source: Path | None,
    events: bool,
    now: datetime,
) -> None:
    """Write what differs between the report as of two positions, and which events made the difference.

    `events` makes CSV hold the events, not the figures. Raises RequestError.
    """
    registry.require(name)
    request = request_of(settings.configuration, options, now)
    types = {fact.table: fact.event_types for fact in FACTS}
    with known_between(source or settings.environment.replica, first, last) as (before, after):
        queue_names.require(after, request)
        report = difference(name, before, after, request, types)
    destination.write(replace(report, main="events") if events else report)
