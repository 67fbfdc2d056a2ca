"""`[[schedule]]` in `holdtime.toml`: one summary, when it is made, of what, and where it goes.

Every command reads the settings; what it takes to check a schedule is imported only where there is one.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from warehouse.paths import AnyPath

if TYPE_CHECKING:
    from schedules.cron import Cron

_ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)


class Schedule(BaseModel):
    """A summary that sends itself. `filters` are the options of the report, with its period in words.

    `patience_minutes` is how long a run waits for what has not landed yet, `retry_minutes` how long a delivery that
    fails is tried again. `on_failure` gets the notice of a message that could not be sent; without it, the recipients
    do that were reached. Recipients are apprise URLs, or `env:NAME` for a URL in the environment; no text shows them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    # The name is a part of file names and of subjects.
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    cron: str
    timezone: str | None = None
    report: str
    filters: Mapping[str, Any] = Field(default_factory=dict)
    formats: tuple[str, ...] = Field(default=("html",), min_length=1)
    recipients: tuple[SecretStr, ...] = ()
    folder: AnyPath | None = None
    on_failure: tuple[SecretStr, ...] = ()
    patience_minutes: float = Field(default=60, ge=0, le=7 * 24 * 60)
    retry_minutes: float = Field(default=60, ge=0, le=7 * 24 * 60)

    def zone(self, presumed: str) -> ZoneInfo:
        """Return the schedule's own time zone, or else the one presumed."""
        return ZoneInfo(self.timezone or presumed)

    def times(self, presumed: str) -> "Cron":
        """Return when the schedule runs, in its zone or else in the one presumed."""
        from schedules.cron import Cron

        return Cron.parse(self.cron, self.zone(presumed))

    @property
    def words(self) -> str:
        """Return the period in words."""
        return str(self.filters.get("period", "yesterday"))

    def asked(self, clock: datetime, presumed: str) -> dict[str, Any]:
        """Return the report's options for a run at `clock`, under the names that a request has for them."""
        from schedules.period import period

        zone = self.zone(presumed)
        from_, to = period(self.words, clock, zone)
        return {**_options(self.filters), "from_": from_.isoformat(), "to": to.isoformat(), "tz": zone.key}

    def unreachable(self, environ: Mapping[str, str]) -> list[str]:
        """Return what is wrong with recipients, in words that hold nothing secret."""
        from schedules import recipients

        faults = []
        for where, urls in (("recipients", self.recipients), ("on_failure", self.on_failure)):
            faults += recipients.found(urls, environ, where=where)[1]
        return [f"schedule {self.name}: {fault}" for fault in faults]

    @field_validator("timezone")
    @classmethod
    def _timezone(cls, name: str | None) -> str | None:
        from reports.calendar import intervals

        return name if name is None else intervals.zone(name).key

    @field_validator("cron")
    @classmethod
    def _cron(cls, expression: str) -> str:
        from schedules.cron import Cron

        return Cron.parse(expression, ZoneInfo("UTC")).expression

    @field_validator("report")
    @classmethod
    def _report(cls, name: str) -> str:
        from reports.catalogue import registry

        registry.require(name)
        return name

    @field_validator("formats")
    @classmethod
    def _formats(cls, forms: tuple[str, ...]) -> tuple[str, ...]:
        from reports import formats

        if unknown := [form for form in forms if form not in formats.EVERY]:
            raise ValueError(f"expected some of {', '.join(formats.EVERY)}, found {', '.join(map(repr, unknown))}")
        return tuple(dict.fromkeys(forms))

    @field_validator("filters")
    @classmethod
    def _filters(cls, filters: Mapping[str, Any]) -> Mapping[str, Any]:
        """The report's own request says what it takes, so that what it learns to take works here at once."""
        from reports.errors import ReportError
        from reports.request.options import ReportOptions
        from reports.request.request import Request
        from schedules.period import period

        if own := filters.keys() & {"from_", "to", "tz"}:
            raise ValueError(f"{', '.join(sorted(own))}: expected `period` in words, and `timezone` of the schedule")
        words = filters.get("period", "yesterday")
        if not isinstance(words, str):
            raise ValueError("period: expected words, such as 'yesterday'")
        try:
            period(words, _ANY_TIME, ZoneInfo("UTC"))
        except ValueError as error:
            raise ValueError(f"period: {error}, found {words!r}") from None
        try:
            ReportOptions(**_options(filters)).applied_to(Request(now=_ANY_TIME))
        except ReportError as error:
            raise ValueError(str(error)) from None
        except TypeError as error:
            raise ValueError(
                f"expected the options of `holdtime report` by their long names (queues = ['support']), and values of "
                f"their kinds; {str(error).removeprefix('ReportOptions.__init__() ')}"
            ) from None
        return filters

    @model_validator(mode="after")
    def _goes_somewhere(self) -> Self:
        if not self.recipients and self.folder is None:
            raise ValueError("expected recipients, a folder, or both: it would go nowhere")
        return self


def _options(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Return filters as a request takes them: TOML has arrays where it has tuples."""
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in filters.items() if name != "period"
    }
