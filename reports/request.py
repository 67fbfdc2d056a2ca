"""What somebody asks of a report: period, time zone, interval, queues, and the definitions to use."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from reports import intervals
from reports.errors import RequestError
from reports.intervals import Interval
from reports.measures import DEFAULT_VARIANT, service_level


class Origin(StrEnum):
    """Where a setting comes from."""

    OPTION = "option"
    FILE = "holdtime.toml"
    DEFAULT = "default"
    WAREHOUSE = "warehouse"


@dataclass(frozen=True, slots=True)
class Setting:
    """A part of the configuration that a report was made with."""

    name: str
    value: str | float | int | tuple[str, ...] | None
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A report's options. Times are instants (aware datetimes); `from_` is included, `to` is not.

    Without `from_` or `to` the report covers all that the warehouse holds. `queues` empty means every queue. `now` is
    the moment for which ages are told. `target` is the wanted service level as a fraction. `origins` says where a field
    was set; one that it does not name was an option where it is not the default. Raises RequestError.
    """

    now: datetime
    from_: datetime | None = None
    to: datetime | None = None
    tz: str = "UTC"
    interval: Interval | None = None
    queues: tuple[str, ...] = ()
    threshold_secs: float = 20
    short_abandon_secs: float = 5
    target: float = 0.80
    variant: str = DEFAULT_VARIANT
    completeness_floor: float = 0.98
    origins: Mapping[str, Origin] = field(default_factory=dict)

    def __post_init__(self) -> None:
        intervals.zone(self.tz)
        service_level(self.variant)
        for name, at in (("from", self.from_), ("to", self.to), ("now", self.now)):
            if at is not None and at.tzinfo is None:
                raise RequestError(f"{name} must be an instant: expected a datetime with a time zone, found {at}")
        if self.from_ is not None and self.to is not None and self.from_ >= self.to:
            raise RequestError(f"from must be before to: found from {self.from_} and to {self.to} (to is exclusive)")
        for name, secs in (("threshold", self.threshold_secs), ("short-abandon threshold", self.short_abandon_secs)):
            if not 0 <= secs <= 86_400:
                raise RequestError(f"{name} must be between 0 and 86400 seconds: found {secs}")
        if not 0 <= self.completeness_floor <= 1:
            raise RequestError(f"completeness floor must be a fraction from 0 to 1: found {self.completeness_floor}")
        if not 0 < self.target <= 1:
            raise RequestError(f"target must be a fraction above 0 and up to 1, such as 0.8: found {self.target}")

    @property
    def zone(self) -> ZoneInfo:
        return intervals.zone(self.tz)

    def settings(self, *names: str) -> tuple[Setting, ...]:
        """Return the fields of those names as settings."""
        defaults = {one.name: one.default for one in fields(self)}
        found = []
        for name in names:
            value = getattr(self, name)
            presumed = Origin.DEFAULT if value == defaults[name] else Origin.OPTION
            found.append(Setting(name, value, self.origins.get(name, presumed)))
        return tuple(found)

    @property
    def threshold_ms(self) -> int:
        return round(self.threshold_secs * 1000)

    @property
    def short_abandon_ms(self) -> int:
        return round(self.short_abandon_secs * 1000)


def parse(
    *,
    now: datetime,
    from_: str | None = None,
    to: str | None = None,
    tz: str = "UTC",
    interval: str | None = None,
    queues: tuple[str, ...] = (),
    threshold_secs: float = 20,
    short_abandon_secs: float = 5,
    target: float = 0.80,
    variant: str = DEFAULT_VARIANT,
    completeness_floor: float = 0.98,
    origins: Mapping[str, Origin] | None = None,
) -> Request:
    """Return the request that texts from a command line or a query string mean. Raises RequestError."""
    zone = intervals.zone(tz)
    return Request(
        now=now,
        from_=None if from_ is None else instant(from_, zone, name="from"),
        to=None if to is None else instant(to, zone, name="to"),
        tz=tz,
        interval=None if interval is None else intervals.interval(interval),
        queues=queues,
        threshold_secs=threshold_secs,
        short_abandon_secs=short_abandon_secs,
        target=target,
        variant=variant,
        completeness_floor=completeness_floor,
        origins=origins or {},
    )


def instant(text: str, zone: ZoneInfo, *, name: str) -> datetime:
    """Return the instant (UTC) that an ISO 8601 date or datetime means in a zone; a date means its first instant.

    A datetime with an offset keeps its own. Of a local time that the clocks show twice, the first is meant; one that
    they skip is an error, as is anything else that is not a date. `name` is what the text was given for.
    """
    text = text.strip()
    try:
        if len(text) <= 10 and "T" not in text:
            return intervals.midnight(date.fromisoformat(text), zone)
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
        found = at.replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        message = f"{name} {text!r} is not a date: expected YYYY-MM-DD or YYYY-MM-DDTHH:MM, such as 2026-02-28T17:30"
        raise RequestError(message) from None
    if found.astimezone(zone).replace(tzinfo=None) != at:
        message = f"{name} {text} does not exist in {zone.key}: the clocks skip it; give a later time or add an offset"
        raise RequestError(message)
    return found
