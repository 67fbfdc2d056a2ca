"""The names of queues that were heard of, and what to say of one that was not: names are exact, and easily mistyped."""

from collections.abc import Sequence
from dataclasses import dataclass

from reports import humanize
from reports.errors import RequestError
from reports.request.request import Request
from reports.source import Source

MAX_NAMED = 10
"""So many names are in one sentence: there may be any number of queues."""

_MAX_NAME = 64
_HEARD = """
select distinct queue
from {table}
where list_contains($names::varchar[], queue)
"""
_ALIKE = """
select distinct queue
from queue_visits
where lower(trim(queue)) in (select lower(trim(unnest($names::varchar[]))))
order by queue
limit $most
"""
# Those with most visits first: where there are very many, most are somebody's mistake.
_THERE_ARE = """
select queue, (count(*) over ())::bigint
from queue_visits
where queue is not null
group by queue
order by count(*) desc, queue
limit $most
"""


@dataclass(frozen=True, slots=True)
class Unheard:
    """Names that neither a visit nor an event has; names like them, and some of those that visits have, of `every`."""

    names: tuple[str, ...]
    alike: tuple[str, ...]
    there_are: tuple[str, ...]
    every: int

    def __str__(self) -> str:
        """Return what is wrong, in a sentence without a full stop."""
        text = f"no queue is called {listed(self.names, len(self.names))}"
        if self.alike:
            text += f"; there is {listed(self.alike, len(self.alike))}, and names are exact"
        others = [name for name in self.there_are if name not in self.alike]
        if others:
            noun = "others are" if self.alike else "there are" if self.every > 1 else "there is"
            text += f"; {noun} {listed(others, self.every - len(self.alike))}"
        return text


def unheard(source: Source, names: Sequence[str]) -> Unheard | None:
    """Return the names that no queue has, or None where there are none. Without any queue yet, every name may come."""
    left = tuple(dict.fromkeys(names))
    for table in ("queue_visits", "stored_events"):
        if left:
            heard = source.db.execute(_HEARD.format(table=table), {"names": list(left)}).fetchall()
            left = tuple(name for name in left if (name,) not in heard)
    if not left:
        return None
    there_are = source.db.execute(_THERE_ARE, {"most": MAX_NAMED + 1}).fetchall()
    if not there_are:
        return None
    alike = source.db.execute(_ALIKE, {"names": list(left), "most": MAX_NAMED}).fetchall()
    return Unheard(left, tuple(name for (name,) in alike), tuple(name for name, _ in there_are), there_are[0][1])


def require(source: Source, request: Request) -> None:
    """Raise RequestError where a queue is asked for that neither was heard of nor is defined as one to come.

    A definition excuses no name that differs from a queue's in capitals or spaces alone.
    """
    missing = unheard(source, request.queues)
    if missing is None:
        return
    defined = {each.queue for each in request.policies}
    if missing.alike or not defined.issuperset(missing.names):
        raise RequestError(str(missing))


def unused(source: Source, request: Request) -> Unheard | None:
    """Return the queues that are defined and that nothing names; None where some queues are asked for."""
    return None if request.queues else unheard(source, [each.queue for each in request.policies])


def notes(asked: Unheard | None, defined: Unheard | None) -> list[str]:
    """Return what a report says of names that no queue has: those asked for, and those that only a definition has."""
    return [
        *([f"Not known: {asked}."] if asked else []),
        *([f"A definition in holdtime.toml is used by no visit: {defined}."] if defined else []),
    ]


def listed(names: Sequence[str], every: int) -> str:
    """Return names in quotes, cut and safe to show, and how many more there are of `every`: 'sales', 'support'."""
    shown = names[:MAX_NAMED]
    text = ", ".join(f"'{humanize.plain(humanize.cut(name, _MAX_NAME))}'" for name in shown)
    more = every - len(shown)
    return f"{text} and {more:,} more" if more > 0 else text
