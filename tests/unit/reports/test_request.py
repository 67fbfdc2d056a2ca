"""Dates as people type them, and what is said about those that cannot be meant."""

from datetime import UTC, datetime
from typing import Any

import pytest

from reports.calendar.intervals import Interval
from reports.errors import RequestError
from reports.request.request import Request
from tests.support.requests import a_request

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "tz", "instant"),
    [
        ("2026-03-02", "UTC", datetime(2026, 3, 2, tzinfo=UTC)),
        ("2026-03-02", "Asia/Kolkata", datetime(2026, 3, 1, 18, 30, tzinfo=UTC)),
        ("2026-03-02T09:15", "Europe/Berlin", datetime(2026, 3, 2, 8, 15, tzinfo=UTC)),
        ("2026-03-02 09:15:30", "Europe/Berlin", datetime(2026, 3, 2, 8, 15, 30, tzinfo=UTC)),
        ("2026-03-02T09:15Z", "Europe/Berlin", datetime(2026, 3, 2, 9, 15, tzinfo=UTC)),
        ("2026-10-25T02:30", "Europe/Berlin", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-10-25T02:30+01:00", "Europe/Berlin", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
    ],
)
def test_a_date_is_local_and_means_its_first_instant(text: str, tz: str, instant: datetime) -> None:
    assert a_request(NOW, from_=text, tz=tz).from_ == instant


@pytest.mark.parametrize(
    "text",
    [
        "yesteryear",
        "last 0 days",
        "2026-13",
        "2026-w60",
        "",
        "2026-02-30",
        "02.03.2026",
        "2026-03-02T25:00",
        "9999-99-99",
    ],
)
def test_what_is_no_date_is_answered_with_what_one_looks_like(text: str) -> None:
    with pytest.raises(RequestError, match="is not a date: expected YYYY-MM-DD"):
        a_request(NOW, to=text)


def test_a_time_that_the_clocks_skip_is_refused() -> None:
    with pytest.raises(RequestError, match="does not exist in Europe/Berlin"):
        a_request(NOW, from_="2026-03-29T02:30", tz="Europe/Berlin")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"from_": "2026-03-02", "to": "2026-03-02"}, "from must be before to"),
        ({"tz": "Mars"}, "time zone 'Mars' is not known"),
        ({"interval": "2h"}, "interval '2h' is not known"),
        ({"threshold_secs": -1}, "threshold must be between 0 and 86400 seconds: found -1"),
        ({"short_abandon_secs": 1e9}, "short-abandon threshold must be between"),
        ({"target": 80}, "target must be a fraction"),
        ({"variant": "best"}, "variant 'best' is not known"),
        ({"hours": "late"}, "hours 'late' are not known: expected one of open, closed"),
        ({"agents": 0}, "agents must be between 1 and 100000: found 0"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], says: str) -> None:
    with pytest.raises(RequestError, match=says):
        a_request(NOW, **options)


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(RequestError, match="expected a datetime with a time zone"):
        Request(now=datetime(2026, 3, 2))  # noqa: DTZ001 -- the mistake under test


def test_thresholds_are_whole_milliseconds() -> None:
    request = a_request(NOW, threshold_secs=2.5, interval="30m")
    assert (request.threshold_ms, request.short_abandon_ms, request.interval) == (2500, 5000, Interval.HALF_HOUR)


def test_names_to_group_by_may_stand_together_or_apart_and_count_once() -> None:
    assert a_request(NOW, by=("queue,hour", "weekday", "hour")).by == ("queue", "hour", "weekday")


@pytest.mark.parametrize(
    "times",
    [
        {"from_": "0001-01-01"},
        {"from_": "2026-03", "to": "9999-12-31"},
        {"from_": "2026-03", "to": "2300-01-02"},
        {"from_": "9999-12-31T23:59:59-14:00"},
        {"from_": "0001-01-01T00:00+14:00"},
        {"from_": "9999-12"},
        {"from_": "last 2000 years"},
        {"from_": "99999 weeks ago"},
    ],
)
@pytest.mark.parametrize("tz", ["UTC", "America/New_York", "Pacific/Kiritimati"])
def test_a_time_far_from_any_event_is_refused(times: dict[str, str], tz: str) -> None:
    with pytest.raises(RequestError):
        a_request(NOW, tz=tz, **times)  # type: ignore[arg-type]


def test_a_period_reaches_as_far_as_events_count_and_a_century_around() -> None:
    asked = a_request(NOW, from_="1900-01-02", to="2299-12-31", tz="America/New_York")
    assert asked.from_ is not None
    assert asked.to is not None
