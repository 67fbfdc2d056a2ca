"""The policies of queues in the configuration: for reports, and for the views of the warehouse."""

from zoneinfo import ZoneInfo

from holdtime.config.settings import Configuration
from reports.calendar import periods
from reports.calendar.hours import openings
from reports.request.effective_policy import (
    EffectivePolicy,
    QueuePolicy,
    effective,
)
from warehouse.queue_definitions import QueueDefinition


def policies(configured: Configuration) -> tuple[QueuePolicy, ...]:
    """Return the policies that the configuration has for queues, dates read in each queue's time zone.

    Raises RequestError where the clocks skip such a time.
    """
    zones: dict[str, str] = {}
    found = []
    # A date is read in the zone that held when it was written down, so the order of the file counts here.
    for each in configured.queue:
        tz = zones[each.name] = each.timezone or zones.get(each.name, configured.timezone)
        since = each.effective_from
        if since is not None:
            since = periods.instant(since.isoformat(), ZoneInfo(tz), name=f"effective_from of the queue {each.name!r}")
        found.append(
            QueuePolicy(
                queue=each.name,
                since=since,
                threshold_secs=each.threshold_secs,
                short_abandon_secs=each.short_abandon_secs,
                target=each.target,
                variant=each.variant,
                tz=tz,
                hours=None
                if each.business_hours is None
                else tuple(one for text in each.business_hours for one in openings(text)),
                holidays=each.holidays,
            )
        )
    return tuple(found)


def definitions(configured: Configuration) -> tuple[QueueDefinition, ...]:
    """Return the policies with nothing left open, and what holds for all other queues.

    Raises RequestError as `policies` does.
    """
    levels = configured.service_level
    others = EffectivePolicy(
        threshold_secs=levels.threshold_secs,
        short_abandon_secs=levels.short_abandon_secs,
        target=levels.target,
        variant=levels.variant,
        tz=configured.timezone,
    )
    return tuple(
        QueueDefinition(
            queue=each.queue,
            effective_from=each.since,
            threshold_ms=each.threshold_ms,
            short_abandon_ms=each.short_abandon_ms,
            target=each.target,
            variant=each.variant,
            timezone=each.tz,
        )
        for each in effective(policies(configured), others)
    )
