"""Windows: whole hours that are known to be complete, and where to go on."""

from datetime import UTC, datetime, timedelta

from reconciler.windows import (
    HOUR,
    OVERLAP,
    Window,
    adds,
    begin,
    closed,
    cut,
)

NOW = datetime(2026, 3, 2, 14, 20, tzinfo=UTC)
TWO = datetime(2026, 3, 2, 14, tzinfo=UTC)


def hours(first: int, last: int) -> Window:
    """From so many hours before two o'clock to so many before it."""
    return Window(TWO - first * HOUR, TWO - last * HOUR)


def test_without_anything_known_a_day_is_read() -> None:
    assert begin([], now=NOW, since=None) == TWO - 24 * HOUR


def test_reading_goes_on_a_little_before_the_first_gap() -> None:
    assert begin([hours(9, 6), hours(6, 5), hours(3, 2)], now=NOW, since=None) == TWO - 5 * HOUR - OVERLAP


def test_reading_goes_on_no_further_back_than_it_ever_began() -> None:
    assert begin([hours(9, 8)], now=NOW, since=None) == TWO - 9 * HOUR


def test_since_is_from_a_whole_hour() -> None:
    assert begin([hours(9, 0)], now=NOW, since=timedelta(hours=3)) == TWO - 3 * HOUR


def test_what_was_complete_more_than_a_month_ago_does_not_matter() -> None:
    assert begin([hours(40 * 24, 35 * 24)], now=NOW, since=None) == TWO - 24 * HOUR


def test_time_is_cut_into_hours_of_which_the_last_is_unfinished() -> None:
    found = list(cut(TWO - 2 * HOUR, NOW))
    assert found == [hours(2, 1), hours(1, 0), Window(TWO, NOW)]


def test_an_hour_can_be_called_complete_once_it_has_settled() -> None:
    assert closed(TWO - 2 * HOUR, NOW) == hours(2, 0)
    assert closed(TWO - 2 * HOUR, TWO + timedelta(minutes=14)) == hours(2, 1)
    assert closed(TWO - HOUR, TWO + timedelta(minutes=14)) is None


def test_what_is_known_to_be_complete_is_not_told_again() -> None:
    known = [hours(6, 4), hours(4, 2)]
    assert not adds(hours(5, 3), known)
    assert adds(hours(5, 1), known)


def test_the_same_window_is_the_same_event() -> None:
    assert hours(2, 1).completed("queues") == hours(2, 1).completed("queues")
    assert hours(2, 1).completed("queues").event_id != hours(2, 1).completed("recordings").event_id
