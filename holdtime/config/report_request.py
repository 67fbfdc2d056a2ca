"""A report's request, made of the options that were given and of the settings."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from holdtime.config.queue_policies import agreed
from holdtime.config.settings import Configuration, Settings
from reports.request import request
from reports.request.effective_policy import Agreement
from reports.request.request import Origin, Request

# What an option says holds for every queue, whatever was agreed.
_AGREED = {"threshold_secs", "short_abandon_secs", "target", "variant"}


def request_of(settings: Settings, asked: Mapping[str, Any], now: datetime) -> Request:
    """Return the request of the options in `asked`, and of the settings for all others, each with its origin."""
    configured = settings.configuration
    levels = configured.service_level
    options = {name: value for name, value in asked.items() if value is not None}
    overridden: dict[str, Any] = dict.fromkeys(options.keys() & _AGREED)
    agreements = tuple(replace(each, **overridden) for each in agreed(configured))
    queues = options.get("queues") or (() if "timezone" in configured.model_fields_set else _named(agreements))
    zone = _zone_of(agreements, queues)
    defaults = {
        "tz": zone or configured.timezone,
        "threshold_secs": levels.threshold_secs,
        "short_abandon_secs": levels.short_abandon_secs,
        "target": levels.target,
        "variant": levels.variant,
        "agreements": agreements,
        "completeness_floor": configured.completeness.floor,
    }
    in_file = levels.model_fields_set | ({"tz"} if _tells_zone(configured, queues if zone else ()) else set())
    in_file |= {"completeness_floor"} if configured.completeness.model_fields_set else set()
    origins = dict.fromkeys(in_file, Origin.FILE) | {name: Origin.OPTION for name in options if options[name] != ()}
    return request.parse(now=now, origins=origins, **{**defaults, **options})


def _tells_zone(configured: Configuration, queues: tuple[str, ...]) -> bool:
    """Tell whether the file names a time zone, for all or for one of these queues."""
    own = {each.name for each in configured.queue if each.timezone is not None}
    return "timezone" in configured.model_fields_set or not own.isdisjoint(queues)


def _named(agreements: tuple[Agreement, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.queue for each in agreements))


def _zone_of(agreements: tuple[Agreement, ...], queues: tuple[str, ...]) -> str | None:
    """Return the time zone that all these queues have now, if they have one in common."""
    latest = {each.queue: each.tz for each in sorted(agreements, key=lambda each: (each.since is not None, each.since))}
    zones = {latest.get(queue) for queue in queues}
    return zones.pop() if len(zones) == 1 else None
