"""Instants as numbers and back: DuckDB gives microseconds since 1970, and no float comes between."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def instant(microseconds: int) -> datetime:
    """Unix microseconds as an aware datetime."""
    return EPOCH + timedelta(microseconds=microseconds)
