"""The sentences of reports on queue visits: by which definitions visits count, and which need a reader's caution."""

from collections.abc import Mapping
from typing import Any

from reports import humanize
from reports.calendar.hours import Hours
from reports.measures.measures import WAIT_EDGES_SECS, service_level
from reports.request import scope
from reports.tables import policy_notes
from reports.tables.notes import TIMELESS
from reports.tables.visit_tables import Tables
from reports.tables.visits import Visits


def definition(made: Tables) -> dict[str, str | float | int]:
    """Return what was decided; where it is not one thing for all queues, what holds for those not named is said."""
    request = made.effective_request
    return {
        "held": "by queue and date" if len(made.held) > 1 else "one for all",
        "service_level_variant": request.variant,
        "service_level_formula": service_level(request.variant).formula,
        "threshold_secs": request.threshold_secs,
        "threshold_rule": "wait <= threshold",
        "short_abandon_secs": request.short_abandon_secs,
        "short_abandon_rule": "wait < short-abandon threshold",
        "target": request.target,
        "attribution": "a visit belongs to the half-open interval in which it was enqueued",
        "percentiles": "nearest rank",
        "wait_buckets_secs": ", ".join(str(edge) for edge in WAIT_EDGES_SECS) + "; lower edge included, upper not",
    }


def notes(made: Tables, visits: Visits, total: Mapping[str, Any], *, leading: bool = True) -> list[str]:
    """Return by which definitions visits count, and cautions about them. `total` is the row of all visits.

    `leading` says that the report leads with the service level.
    """
    request = made.effective_request
    level = service_level(request.variant)
    within, short = humanize.seconds(request.threshold_secs), humanize.seconds(request.short_abandon_secs)
    said = []
    if total["offered"] == 0:
        said.append("No visits began in this period: rates and waits are empty, not 0 and not 100 %.")
    if not leading:
        said.append(f"An abandonment is short where the wait was less than {short}.")
    elif len(made.held) == 1:
        said.append(
            f"Service level: {level.formula}, the variant {request.variant}, within {within} (wait <= {within}; "
            f"short abandons: wait < {short}), target {humanize.target(request.target)}."
        )
    else:
        said.append(f"Service level of several queues together: {level.formula}, the variant {request.variant}.")
    said += policy_notes.notes(made)
    said += _hours(made, visits)
    if leading and total[level.name] is not None:
        said.append(f"{scope.whole(request)}: {level.worked(total)} = {humanize.percent(total[level.name])}.")
    said.append("A visit counts in the interval in which it was enqueued. Percentiles are nearest rank.")
    said += [sentence for count, sentence in _reservations(visits, total) if count]
    return said


def _hours(made: Tables, visits: Visits) -> list[str]:
    """Return what business hours have left out, or would have."""
    hours = made.request.hours
    if hours is not None:
        within = "within" if hours is Hours.OPEN else "outside of"
        return [f"Only visits that began {within} the business hours of their queue; one without any is always open."]
    if visits.outside:
        count = humanize.number(visits.outside)
        return [f"{count} visits began outside of business hours: they count, unless --hours open leaves them out."]
    return []


def _reservations(visits: Visits, total: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Return what a reader should know about the visits, each with the number of visits that it holds for."""
    return [
        (count, f"{humanize.number(count)} {words}")
        for count, words in (
            (total["waiting"], "visits are still waiting: they are in no rate yet, and the numbers will change."),
            (total["unknown"], "visits ended in a way that nobody heard of (unknown): offered, with no wait."),
            (
                visits.reported,
                "visits have a beginning worked out from the wait that Telnyx reported, in whole seconds.",
            ),
            (visits.timeless, TIMELESS),
        )
    ]
