"""Cron expressions in a time zone, as instants: each time that they name exactly once, whatever the clocks do.

APScheduler reads the expressions and finds the times on the clock's face. It does so in UTC, where no clock is ever
changed, because in other zones it gives times that do not exist, or one time for ever (its issues 1021 and 1059). From
the face to the instant it is RFC 5545, 3.3.5: of a time that the clocks show twice the first is meant; a time that they
skip is taken as if they had not been changed yet, so 02:30 is half an hour after 02:00 that day too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

EXPECTED = "five fields: minute, hour, day of the month, month, weekday, such as `0 7 * * mon-fri`"

_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NUMBERS = {**{name: number for number, name in reversed(list(enumerate(_WEEKDAYS)))}, **{str(n): n for n in range(8)}}
_FURTHEST_APART = timedelta(hours=25)
"""How far an instant can be from where its time on the clock's face would put it: a zone may skip a whole day."""

_LOOKS = (timedelta(hours=1), timedelta(days=2), timedelta(days=60), timedelta(days=800), timedelta(days=9 * 366))
_ANY_TIME = datetime(2024, 2, 28, tzinfo=UTC)
_SOONEST = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression in a zone. Make it with `parse`."""

    expression: str
    zone: ZoneInfo
    _fields: tuple[Mapping[str, str], ...] = field(repr=False, compare=False)

    @classmethod
    def parse(cls, expression: str, zone: ZoneInfo) -> "Cron":
        """Return the expression as crontab reads it: 0 and 7 are Sunday, and a day or a weekday is enough where both
        are given. Raises ValueError.
        """
        fields = expression.split()
        if len(fields) != 5:
            raise ValueError(f"expected {EXPECTED}")
        minute, hour, day, month, weekday = fields
        either = "*" not in {day[0], weekday[0]}
        weekday = _weekdays(weekday)
        days = [(day, "*"), ("*", weekday)] if either else [(day, weekday)]
        common = {"minute": minute, "hour": hour, "month": month}
        cron = cls(expression, zone, tuple({**common, "day": day, "day_of_week": weekday} for day, weekday in days))
        try:
            comes = cron.next(_ANY_TIME) is not None
        except ValueError as error:
            raise ValueError(f"expected {EXPECTED}; {error}") from None
        if not comes:
            raise ValueError("expected a time that comes, such as `0 7 1 * *`; this one is never")
        return cron

    def __str__(self) -> str:
        return f"{self.expression} in {self.zone.key}"

    def next(self, after: datetime) -> datetime | None:
        """Return the first instant after another, in UTC; None where there is none for years."""
        for look in _LOOKS:
            if found := self.between(after, after + look):
                return found[0]
        return None

    def latest(self, after: datetime, until: datetime) -> datetime | None:
        """Return the last instant after `after` and up to `until`, in UTC; None where there is none."""
        for look in (*_LOOKS, until - after):
            start = max(after, until - look)
            if found := self.between(start, until):
                return found[-1]
            if start <= after:
                break
        return None

    def between(self, after: datetime, until: datetime) -> list[datetime]:
        """Return every instant after `after` and up to `until`, in UTC and in order."""
        start, end = (_face(at, self.zone) for at in (after, until))
        faces = (
            face for fields in self._fields for face in _faces(fields, start - _FURTHEST_APART, end + _FURTHEST_APART)
        )
        instants = {face.replace(tzinfo=self.zone).astimezone(UTC) for face in faces}
        return sorted(at for at in instants if after < at <= until)


def _face(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=UTC, fold=0)


def _faces(fields: Mapping[str, str], start: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the times on the clock's face that the fields name, from `start` to `end`."""
    trigger = CronTrigger(**fields, timezone=UTC, end_date=end)
    at = trigger.get_next_fire_time(None, start)
    while at is not None:
        yield at
        at = trigger.get_next_fire_time(at, at + _SOONEST)


def _weekdays(text: str) -> str:
    """Return crontab's weekdays as the names that APScheduler knows: it counts from Monday, crontab from Sunday."""
    if text == "*":
        return text
    found = []
    for part in text.lower().split(","):
        days, _, step = part.partition("/")
        first, _, last = ("0", "-", "6") if days == "*" else days.partition("-")
        last = last or ("6" if step else first)
        if first not in _NUMBERS or last not in _NUMBERS or not (step or "1").isdecimal() or step == "0":
            raise ValueError(f"expected {EXPECTED}; weekdays are 0 to 7 or sun to sat, not {part!r}")
        start, end = _NUMBERS[first], _NUMBERS[last]
        end = end + 7 if last == "sun" and end < start else end  # fri-sun
        if end < start:
            raise ValueError(f"expected {EXPECTED}; {part!r} ends before it begins")
        found += [_WEEKDAYS[number % 7] for number in range(start, end + 1, int(step or "1"))]
    return ",".join(dict.fromkeys(found))
