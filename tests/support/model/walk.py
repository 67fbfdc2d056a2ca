"""What rules of several facts share: lives, openings with their closings, instants compared."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from typing import TypeVar

from tests.support.model.happening import (
    CONFERENCE_BILLED,
    CONFERENCE_SEEN,
    CONFERENCE_TYPES,
    COST,
    DEQUEUED,
    ENDED,
    ENQUEUED,
    EPOCH,
    HANGUP,
    LEG_TYPES,
    MONTH,
    NEARLY,
    SEEN_OF_ROOMS,
    SILENCE,
    Happening,
)

T = TypeVar("T")


def ms(earlier: datetime | None, later: datetime | None) -> int | None:
    """Whole milliseconds between two instants, each cut to the millisecond first."""
    if earlier is None or later is None:
        return None
    millisecond = timedelta(milliseconds=1)
    return (later - EPOCH) // millisecond - (earlier - EPOCH) // millisecond


def lives(happenings: Iterable[Happening]) -> Iterator[list[Happening]]:
    """Each entity's happenings in time order, apart where nothing was heard for more than a day of what was over.

    What is open goes on however long nobody heard of it, but for a month.
    """
    by_entity: defaultdict[str, list[Happening]] = defaultdict(list)
    for each in happenings:
        by_entity[each.entity].append(each)
    for story in by_entity.values():
        story.sort(key=lambda each: (each.at, each.event_id))
        life: list[Happening] = []
        for stretch in _stretches(story):
            if life and not _goes_on(life, stretch):
                yield life
                life = []
            life += stretch
        yield life


def _stretches(story: list[Happening]) -> Iterator[list[Happening]]:
    stretch = story[:1]
    for before, after in pairwise(story):
        if after.at - before.at > SILENCE:
            yield stretch
            stretch = []
        stretch.append(after)
    yield stretch


def _goes_on(life: list[Happening], later: list[Happening]) -> bool:
    if any(map(_ends, life)) or later[0].at - life[-1].at > MONTH:
        return False
    lasting = {*LEG_TYPES, ENQUEUED, DEQUEUED, *CONFERENCE_TYPES, *SEEN_OF_ROOMS}
    return any(not each.of_another and each.event_type in lasting for each in life)


def _ends(each: Happening) -> bool:
    if each.event_type == CONFERENCE_SEEN:
        return each.status == "completed"
    return each.event_type in (HANGUP, COST, ENDED, CONFERENCE_BILLED)


@dataclass(frozen=True)
class Pair:
    """An opening with its closing. `reopened_at`: when it was opened once more, its own closing having been lost."""

    opening: Happening | None
    closing: Happening | None
    reopened_at: datetime | None = None

    def first(self, name: str) -> str | None:
        """What the opening says, else the closing."""
        said = (getattr(each, name) for each in (self.opening, self.closing) if each is not None)
        found = [value for value in said if value is not None]
        return found[0] if found else None

    @property
    def pair_id(self) -> str:
        pair_id = self.first("event_id")
        assert pair_id is not None
        return pair_id


def walked(edges: list[Happening], opening_type: str) -> list[Pair]:
    """Walk in time order. At one instant what is open is closed first; with nothing open, something opens first."""
    pairs: list[Pair] = []
    is_open: Happening | None = None
    for moment, together in groupby(sorted(edges, key=lambda each: (each.at, each.event_id)), lambda each: each.at):
        at_once = list(together)
        openings = [each for each in at_once if each.event_type == opening_type]
        closings = [each for each in at_once if each.event_type != opening_type]
        while openings or closings:
            if is_open is not None and closings:
                pairs.append(Pair(is_open, closings.pop(0)))
                is_open = None
            elif openings:
                if is_open is not None:
                    pairs.append(Pair(is_open, None, reopened_at=moment))
                is_open = openings.pop(0)
            else:
                pairs.append(Pair(None, closings.pop(0)))
    if is_open is not None:
        pairs.append(Pair(is_open, None))
    return pairs


def grouped(key: Callable[[Happening], object], happenings: Iterable[Happening]) -> list[list[Happening]]:
    groups: defaultdict[object, list[Happening]] = defaultdict(list)
    for each in happenings:
        groups[key(each)].append(each)
    return list(groups.values())


def near(one: datetime | None, other: datetime | None, within: timedelta = NEARLY) -> bool:
    """Whether they are the same, as far as cut times can tell; compared in whole milliseconds."""
    between = ms(one, other)
    return between is not None and abs(between) <= within // timedelta(milliseconds=1)


def forward_ms(earlier: datetime | None, later: datetime | None) -> int | None:
    """As `ms`, and unknown where time would run backwards."""
    return ms(earlier, later) if earlier is not None and later is not None and earlier <= later else None


def last_told(told: list[T]) -> T | None:
    return told[-1] if told else None


def earliest(*instants: datetime | None) -> datetime | None:
    return min((each for each in instants if each is not None), default=None)


def least(name: str, events: list[Happening]) -> str | None:
    said: list[str] = [value for each in events if (value := getattr(each, name)) is not None]
    return min(said, default=None)
