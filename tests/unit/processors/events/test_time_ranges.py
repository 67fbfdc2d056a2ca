"""Time ranges against brute force, minute by minute."""

from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from processors.events.time_ranges import (
    TimeRange,
    beyond,
    merged,
    widened,
)
from tests.support.builders import NOON

MINUTES = range(-20, 60)


def minute(count: int) -> timedelta:
    return timedelta(minutes=count)


def _span(bounds: tuple[int, int]) -> TimeRange:
    start, length = bounds
    return NOON + minute(start), NOON + minute(start + length)


SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 8)).map(_span), max_size=12)


def minutes_in(spans: list[TimeRange]) -> set[int]:
    """The minutes of which the spans hold the beginning."""
    return {count for count in MINUTES if any(start <= NOON + minute(count) < end for start, end in spans)}


@given(SPANS)
def test_merging_keeps_the_time_and_leaves_no_two_that_touch(spans: list[TimeRange]) -> None:
    joined = merged(spans, most=99)
    assert minutes_in(joined) == minutes_in(spans)
    assert all(before[1] < after[0] for before, after in pairwise(joined))


@given(SPANS, st.integers(1, 6))
def test_fewer_spans_close_the_narrowest_gaps_and_lose_nothing(spans: list[TimeRange], most: int) -> None:
    joined = merged(spans, most=most)
    apart = merged(spans, most=99)
    assert len(joined) <= most
    assert minutes_in(joined) >= minutes_in(spans)
    assert (joined[:1] and joined[0][0], joined[-1:] and joined[-1][1]) == (
        apart[:1] and apart[0][0],
        apart[-1:] and apart[-1][1],
    )
    gaps = sorted((after[0] - before[1] for before, after in pairwise(apart)), reverse=True)
    kept = sorted((after[0] - before[1] for before, after in pairwise(joined)), reverse=True)
    assert kept == gaps[: most - 1]


@given(SPANS, st.integers(0, 9))
def test_widening_adds_what_is_within_reach(spans: list[TimeRange], reach: int) -> None:
    wide = minutes_in(widened(spans, minute(reach)))
    near = {
        count
        for count in MINUTES
        if any(start - minute(reach) <= NOON + minute(count) < end + minute(reach) for start, end in spans)
    }
    assert wide >= near
    if len(merged(((start - minute(reach), end + minute(reach)) for start, end in spans), most=99)) <= 6:
        assert wide == near


@given(SPANS, SPANS)
def test_what_lies_beyond_is_what_is_wanted_and_not_seen(wanted: list[TimeRange], seen: list[TimeRange]) -> None:
    left = beyond(wanted, seen)
    assert minutes_in(left) == minutes_in(wanted) - minutes_in(seen)
    assert all(start < end for start, end in left)
