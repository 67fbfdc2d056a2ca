"""The options of a report as somebody writes them, on a command line or in a schedule: each may be left out."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from reports.calendar import intervals, periods
from reports.calendar.hours import Hours
from reports.errors import RequestError
from reports.request.request import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """What somebody asks of a report. None, False and an empty tuple leave an option out.

    The fields are those of `Request`, as texts: a period as `reports.calendar.periods` reads it, an IANA time zone, the
    name of an interval; `by` takes names with commas between them, too.
    """

    from_: str | None = None
    to: str | None = None
    tz: str | None = None
    interval: str | None = None
    queues: tuple[str, ...] = ()
    threshold_secs: float | None = None
    short_abandon_secs: float | None = None
    target: float | None = None
    variant: str | None = None
    by: tuple[str, ...] = ()
    hours: str | None = None
    explain: bool = False
    agents: int | None = None

    def given(self) -> dict[str, Any]:
        """Return the options that are not left out, by name."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {one.name: values[one.name] for one in fields(self) if values[one.name] != one.default}

    def applied_to(self, presumed: Request) -> Request:
        """Return a request with these options in place of what was presumed. Raises RequestError.

        Words such as `yesterday` are meant at the request's `now`, and in its time zone where no option names one.
        """
        for name, texts in (("queues", self.queues), ("by", self.by)):
            if not isinstance(texts, tuple) or not all(isinstance(each, str) for each in texts):
                raise RequestError(f"{name}: expected an array of texts, such as ['support'], found {texts!r:.80}")
        return replace(presumed, **{**self.given(), **self._converted(presumed)})

    def _converted(self, presumed: Request) -> Mapping[str, Any]:
        """Return the options whose text stands for a value of another type."""
        found: dict[str, Any] = {}
        zone, now = presumed.zone if self.tz is None else intervals.zone(self.tz), presumed.now
        if self.from_ is not None:
            begun = periods.stretch(self.from_, now, zone, name="from")
            found |= {"from_": begun.from_, "to": begun.to}
        if self.to is not None:
            found["to"] = periods.stretch(self.to, now, zone, name="to").from_
        if self.interval is not None:
            found["interval"] = intervals.interval(self.interval)
        if self.by:
            found["by"] = tuple(dict.fromkeys(name.strip() for names in self.by for name in names.split(",")))
        if self.hours is not None:
            found["hours"] = _hours(self.hours)
        return found


def _hours(name: str) -> Hours:
    try:
        return Hours(name)
    except ValueError:
        raise RequestError(f"hours {name!r} are not known: expected one of {', '.join(Hours)}") from None
