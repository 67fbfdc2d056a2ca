"""What somebody asks of a report: period, time zone, interval, queues, and the definitions to use."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from reports.calendar import intervals
from reports.calendar.hours import Hours
from reports.calendar.intervals import Interval
from reports.errors import RequestError
from reports.measures.measures import DEFAULT_VARIANT, service_level
from reports.request.effective_policy import (
    EffectivePolicy,
    QueuePolicy,
    effective,
)

EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2300, 1, 1, tzinfo=UTC)
"""No event counts before 1970 or after 2200; a period as long before, or a zone's hours after, stay dates."""


class SettingOrigin(StrEnum):
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
    origin: SettingOrigin


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A report's options. Times are instants (aware datetimes); `from_` is included, `to` is not.

    Without `from_` or `to` the report covers all that the warehouse holds. `queues` empty means every queue. `now` is
    the moment from which ages are counted. `by` names what the main table is grouped by, where a report leaves a
    choice. `target` is the wanted service level as a fraction. `policies` say what holds for a queue from a date on
    instead; they leave open what an option asks for. `hours` keeps the visits that began within, or outside of, the
    business hours of their queues. `explain` asks for formulas with the numbers put in, `agents` is how many are at
    work, where that is known. `origins` says where a field was set; a field that it does not name was an option where
    it is not the default. Raises RequestError.
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
    by: tuple[str, ...] = ()
    hours: Hours | None = None
    explain: bool = False
    agents: int | None = None
    policies: tuple[QueuePolicy, ...] = ()
    completeness_floor: float = 0.98
    origins: Mapping[str, SettingOrigin] = field(default_factory=dict)

    def __post_init__(self) -> None:
        intervals.zone(self.tz)
        service_level(self.variant)
        for name, at in (("from", self.from_), ("to", self.to), ("now", self.now)):
            if at is not None and at.tzinfo is None:
                raise RequestError(f"{name} must be an instant: expected a datetime with a time zone, found {at}")
            if at is not None and not EARLIEST <= at <= LATEST:
                raise RequestError(
                    f"{name} {at.date()} is far from any event: expected a time from {EARLIEST.date()} to "
                    f"{LATEST.date()}; without --from or --to a report covers all that there is"
                )
        if self.from_ is not None and self.to is not None and self.from_ >= self.to:
            raise RequestError(f"from must be before to: found from {self.from_} and to {self.to} (to is exclusive)")
        for name, secs in (("threshold", self.threshold_secs), ("short-abandon threshold", self.short_abandon_secs)):
            if not 0 <= secs <= 86_400:
                raise RequestError(f"{name} must be between 0 and 86400 seconds: found {secs}")
        if self.agents is not None and not 0 < self.agents <= 100_000:
            raise RequestError(f"agents must be between 1 and 100000: found {self.agents}")
        if not 0 <= self.completeness_floor <= 1:
            raise RequestError(f"completeness floor must be a fraction from 0 to 1: found {self.completeness_floor}")
        if not 0 < self.target <= 1:
            raise RequestError(f"target must be a fraction above 0 and up to 1, such as 0.8: found {self.target}")

    @property
    def zone(self) -> ZoneInfo:
        return intervals.zone(self.tz)

    @property
    def effective_policies(self) -> tuple[EffectivePolicy, ...]:
        """Return what holds for each queue when; the first is what holds for queues without a policy of their own."""
        others = EffectivePolicy(
            threshold_secs=self.threshold_secs,
            short_abandon_secs=self.short_abandon_secs,
            target=self.target,
            variant=self.variant,
            tz=self.tz,
        )
        return effective(self.policies, others)

    def cut(self, length: Interval) -> "Request":
        """Return the request with intervals of that length, if it asks for no others."""
        if self.interval is not None:
            return self
        return replace(self, interval=length, origins={**self.origins, "interval": SettingOrigin.DEFAULT})

    def settings(self, *names: str) -> tuple[Setting, ...]:
        """Return the fields of those names as settings."""
        defaults = {one.name: one.default for one in fields(self)}
        found = []
        for name in names:
            value = getattr(self, name)
            presumed = SettingOrigin.DEFAULT if value == defaults[name] else SettingOrigin.OPTION
            found.append(Setting(name, value, self.origins.get(name, presumed)))
        return tuple(found)

    @property
    def threshold_ms(self) -> int:
        return round(self.threshold_secs * 1000)

    @property
    def short_abandon_ms(self) -> int:
        return round(self.short_abandon_secs * 1000)
