"""Spans of time: where a lookup has to look, so that its cost does not grow with history."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise

Span = tuple[datetime, datetime]
"""A half-open interval of event time, `[start, end)`."""

MOST_SPANS = 6
"""More lookups than this cost more than what one wider span would read in vain."""


def merged(spans: Iterable[Span], most: int = MOST_SPANS) -> list[Span]:
    """The same time as spans that do not touch, in order; at most `most`, by closing the narrowest gaps."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    if len(joined) <= most:
        return joined
    gaps = sorted(range(1, len(joined)), key=lambda i: joined[i][0] - joined[i - 1][1], reverse=True)
    cuts = [0, *sorted(gaps[: most - 1]), len(joined)]
    return [(joined[a][0], joined[b - 1][1]) for a, b in pairwise(cuts)]


def widened(spans: Iterable[Span], reach: timedelta) -> list[Span]:
    """All that lies within `reach` of the spans."""
    return merged((start - reach, end + reach) for start, end in spans)


def beyond(wanted: Iterable[Span], seen: Iterable[Span]) -> list[Span]:
    """What is in `wanted` and not in `seen`."""
    left = list(wanted)
    for seen_start, seen_end in seen:
        left = [
            piece
            for start, end in left
            for piece in ((start, min(end, seen_start)), (max(start, seen_end), end))
            if piece[0] < piece[1]
        ]
    return left
