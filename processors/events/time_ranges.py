"""Time ranges: where a lookup has to look, so that its cost does not grow with history."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise

import duckdb

from warehouse.instants import EPOCH
from warehouse.query import value

TimeRange = tuple[datetime, datetime]
"""A half-open interval of event time, `[start, end)`."""

MAX_RANGES = 6
"""More lookups than this cost more than one wider lookup would read in vain."""

QUARTER = timedelta(minutes=15)
QUIET = timedelta(hours=8)
"""A night without events parts no range."""


def of_relation(db: duckdb.DuckDBPyConnection, relation: str, moment: str) -> list[TimeRange]:
    """The ranges in which the column `moment` of a relation has values, in whole quarters of an hour."""
    return of_quarters(value(db, f"select list(distinct quarter_of({moment})) from {relation}") or [])


def of_quarters(quarters: Iterable[int]) -> list[TimeRange]:
    """The same, of numbers of quarters since 1970, as the macro `quarter_of` gives them."""
    starts = [EPOCH + quarter * QUARTER for quarter in quarters]
    return [(start, end - QUIET) for start, end in merged((start, start + QUARTER + QUIET) for start in starts)]


def merged(ranges: Iterable[TimeRange], most: int = MAX_RANGES) -> list[TimeRange]:
    """The same time as ranges that do not touch, in order; at most `most`, by closing the narrowest gaps."""
    joined: list[TimeRange] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    if len(joined) <= most:
        return joined
    gaps = sorted(range(1, len(joined)), key=lambda i: joined[i][0] - joined[i - 1][1], reverse=True)
    cuts = [0, *sorted(gaps[: most - 1]), len(joined)]
    return [(joined[a][0], joined[b - 1][1]) for a, b in pairwise(cuts)]


def widened(ranges: Iterable[TimeRange], reach: timedelta) -> list[TimeRange]:
    """All that lies within `reach` of the ranges."""
    return merged((start - reach, end + reach) for start, end in ranges)


def beyond(wanted: Iterable[TimeRange], seen: Iterable[TimeRange]) -> list[TimeRange]:
    """The parts of `wanted` that are not in `seen`."""
    left = list(wanted)
    for seen_start, seen_end in seen:
        left = [
            piece
            for start, end in left
            for piece in ((start, min(end, seen_start)), (max(start, seen_end), end))
            if piece[0] < piece[1]
        ]
    return left
