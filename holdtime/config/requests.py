"""What a report is asked for, where the configuration fills in what the options leave out."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from holdtime.config.queue_policies import policies as policies_of
from holdtime.config.settings import Configuration
from reports.request.effective_policy import QueuePolicy
from reports.request.options import ReportOptions
from reports.request.request import Request, SettingOrigin

_OF_POLICIES = frozenset({"threshold_secs", "short_abandon_secs", "target", "variant"})


def request_of(configuration: Configuration, asked: ReportOptions | Mapping[str, Any], now: datetime) -> Request:
    """Return the request that some options mean at a moment, with what they leave out as it is configured.

    `asked` may also be the options by name, where None leaves one out. An option that a policy can hold, too, holds for
    every queue. The request says of every field where it comes from. Raises RequestError.
    """
    options = asked if isinstance(asked, ReportOptions) else _options(asked)
    given = options.given()
    # An option holds for every queue, so no policy says anything else of it.
    overridden: dict[str, Any] = dict.fromkeys(given.keys() & _OF_POLICIES)
    policies = tuple(replace(each, **overridden) for each in policies_of(configuration))
    queues = options.queues or (() if "timezone" in configuration.model_fields_set else _queues(policies))
    zone = _common_zone(policies, queues)
    in_file = set(configuration.service_level.model_fields_set)
    in_file |= {"tz"} if _names_zone(configuration, queues if zone else ()) else set()
    in_file |= {"completeness_floor"} if configuration.completeness.model_fields_set else set()
    configured = Request(
        now=now,
        tz=zone or configuration.timezone,
        policies=policies,
        completeness_floor=configuration.completeness.floor,
        origins={**dict.fromkeys(in_file, SettingOrigin.FILE), **dict.fromkeys(given, SettingOrigin.OPTION)},
        **configuration.service_level.model_dump(),
    )
    return options.applied_to(configured)


def _options(asked: Mapping[str, Any]) -> ReportOptions:
    return ReportOptions(**{name: value for name, value in asked.items() if value is not None})


def _names_zone(configuration: Configuration, queues: tuple[str, ...]) -> bool:
    """Tell whether the file names a time zone, for all queues or for one of these."""
    own = {each.name for each in configuration.queue if each.timezone is not None}
    return "timezone" in configuration.model_fields_set or not own.isdisjoint(queues)


def _queues(policies: tuple[QueuePolicy, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.queue for each in policies))


def _common_zone(policies: tuple[QueuePolicy, ...], queues: tuple[str, ...]) -> str | None:
    """Return the time zone that all these queues have now, if they have one in common."""
    latest = {each.queue: each.tz for each in sorted(policies, key=lambda each: (each.since is not None, each.since))}
    zones = {latest.get(queue) for queue in queues}
    return zones.pop() if len(zones) == 1 else None
