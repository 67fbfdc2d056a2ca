"""Instants as the warehouse counts them: microseconds since 1970, in UTC."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def instant(microseconds: int) -> datetime:
    """Unix microseconds as an aware datetime, without a float in between."""
    return EPOCH + timedelta(microseconds=microseconds)
