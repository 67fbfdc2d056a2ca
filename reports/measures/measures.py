"""Every count and measure over queue visits, defined once. Source: docs/metrics.md, "Counts per queue and interval".

Reports evaluate these with polars (`reports.measures.aggregation`), views with DuckDB. A visit without `wait_ms`
(waiting still, or unknown) takes no part in waits and percentiles; one that is over, nobody said when, has
`bound_ms`, the longest that it can have waited, and counts as in time by that. What has nothing beneath it (no visit,
an empty denominator) is null, never 0 and never 100 %.
"""

from dataclasses import replace

from reports.errors import RequestError
from reports.measures.definitions import (
    Aggregate,
    Measure,
    Percentile,
    Ratio,
    ValueKind,
)

OUTCOMES = ("answered", "abandoned", "timed_out", "left", "failed_bridge", "unknown", "waiting")


def _count(name: str, title: str, of: str, meaning: str) -> Aggregate:
    return Aggregate(name, title, "count", of, meaning)


_OUTCOME_TITLES = {name: name.replace("_", " ").capitalize() for name in OUTCOMES}

AGGREGATES: tuple[Aggregate, ...] = (
    _count("offered", "Offered", "outcome is not null", "visits that entered the queue in the interval"),
    *(_count(o, _OUTCOME_TITLES[o], f"outcome = '{o}'", f"visits whose outcome is {o}") for o in OUTCOMES),
    _count(
        "short_abandoned",
        "Short abandons",
        "outcome = 'abandoned' and wait_ms < short_abandon_ms",
        "abandoned visits with wait < short-abandon threshold",
    ),
    _count(
        "answered_within",
        "Answered in time",
        "outcome = 'answered' and coalesce(wait_ms, bound_ms) <= threshold_ms",
        "answered visits with wait <= threshold, also where only a bound of the wait is known",
    ),
    _count(
        "abandoned_within",
        "Abandoned in time",
        "outcome = 'abandoned' and wait_ms <= threshold_ms",
        "abandoned visits with wait <= threshold",
    ),
    _count(
        "removed_within",
        "Gone in time",
        "outcome <> 'waiting' and coalesce(wait_ms, bound_ms) <= threshold_ms",
        "visits that left the queue with wait <= threshold, whatever the outcome, also where only a bound is known",
    ),
    _count("waits", "Waits known", "wait_ms is not null", "visits whose wait is known"),
    _count(
        "waits_answered",
        "Waits known, answered",
        "outcome = 'answered' and wait_ms is not null",
        "answered visits whose wait is known",
    ),
    _count(
        "waits_abandoned",
        "Waits known, abandoned",
        "outcome = 'abandoned' and wait_ms is not null",
        "abandoned visits whose wait is known",
    ),
    Aggregate("total_wait_ms", "Total wait", "sum", "wait_ms", "sum of wait_ms", ValueKind.DURATION),
    Aggregate(
        "total_wait_answered_ms",
        "Total wait, answered",
        "sum",
        "case when outcome = 'answered' then wait_ms end",
        "sum of wait_ms over answered visits",
        ValueKind.DURATION,
    ),
    Aggregate(
        "total_wait_abandoned_ms",
        "Total wait, abandoned",
        "sum",
        "case when outcome = 'abandoned' then wait_ms end",
        "sum of wait_ms over abandoned visits",
        ValueKind.DURATION,
    ),
    Aggregate(
        "longest_wait_ms", "Longest wait", "max", "wait_ms", "greatest wait_ms over all visits", ValueKind.DURATION
    ),
)

DEFAULT_VARIANT = "short_abandons_excluded"


def _variant(name: str, numerator: str, denominator: str) -> Ratio:
    return Ratio(f"service_level_{name}", f"SL {name.replace('_', ' ')}", numerator, denominator)


VARIANTS: dict[str, Ratio] = {
    name: _variant(name, numerator, denominator)
    for name, numerator, denominator in (
        (DEFAULT_VARIANT, "answered_within", "offered - waiting - short_abandoned"),
        ("answered_only", "answered_within", "answered"),
        ("offered", "answered_within", "offered - waiting"),
        ("abandons_in_threshold_ignored", "answered_within", "offered - waiting - abandoned_within"),
        ("abandons_in_threshold_met", "answered_within + abandoned_within", "offered - waiting"),
        ("removed_in_threshold", "removed_within", "offered - waiting"),
        ("flow_outs_excluded", "answered_within", "answered + abandoned - short_abandoned"),
    )
}


def service_level(variant: str = DEFAULT_VARIANT) -> Ratio:
    """Return the service level that a report leads with, as the measure `service_level`. Raises RequestError."""
    if variant not in VARIANTS:
        raise RequestError(f"service level variant {variant!r} is not known: expected one of {', '.join(VARIANTS)}")
    return replace(VARIANTS[variant], name="service_level", title="Service level")


ABANDONMENT = (
    Ratio("abandonment_rate", "Abandonment", "abandoned", "offered - waiting"),
    Ratio(
        "abandonment_rate_adjusted",
        "Abandonment, adjusted",
        "abandoned - short_abandoned",
        "offered - waiting - short_abandoned",
    ),
)

MEANS = (
    Ratio("mean_wait_answered_ms", "ASA", "total_wait_answered_ms", "waits_answered", ValueKind.DURATION),
    Ratio(
        "mean_wait_abandoned_ms",
        "Mean wait, abandoned",
        "total_wait_abandoned_ms",
        "waits_abandoned",
        ValueKind.DURATION,
    ),
)

# `missing` is taken beside the aggregates, by `reports.tables.visit_tables`: of most visits nothing is.
COMPLETENESS = Ratio("completeness", "Complete", "2 * offered - waiting - missing", "2 * offered - waiting")

# Shares of the offered, and means over all visits, for reports that lead with them.
SHARES = tuple(Ratio(f"{o}_share", f"{_OUTCOME_TITLES[o]} %", o, "offered") for o in OUTCOMES)
MEAN_WAIT = Ratio("mean_wait_ms", "Mean wait", "total_wait_ms", "waits", ValueKind.DURATION)

PERCENTS = (50, 90, 95, 99)

PERCENTILES: tuple[Percentile, ...] = (
    *(Percentile(f"wait_p{p}_ms", f"Wait p{p}", p, "wait_ms is not null", "offered visits") for p in PERCENTS),
    *(
        Percentile(f"wait_answered_p{p}_ms", f"Answered p{p}", p, "outcome = 'answered'", "answered visits")
        for p in PERCENTS
    ),
)

# Half-open, as intervals are: a wait of exactly 5 s is in 5-10. So the first bucket of the abandoned is the default
# `short_abandoned` (wait < 5 s), while `within 20 s` (wait <= 20 s) also takes the waits of exactly 20 s.
WAIT_EDGES_SECS = (0, 5, 10, 20, 30, 60, 120, 300)
WAIT_BUCKETS = tuple(
    f"{low}-{high}" if high else f"{low}+"
    for low, high in zip(WAIT_EDGES_SECS, (*WAIT_EDGES_SECS[1:], None), strict=True)
)


def every_measure(variant: str = DEFAULT_VARIANT) -> tuple[Measure, ...]:
    """Return all measures of one row of visits, in the order in which a reader wants them."""
    return (*AGGREGATES, service_level(variant), *VARIANTS.values(), *ABANDONMENT, *MEANS, *PERCENTILES)
