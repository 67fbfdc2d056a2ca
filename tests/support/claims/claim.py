"""A claim, the rules that excuse one, and what was lost."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any

from simulator import Event, World
from tests.support.model.happening import EPOCH

Row = dict[str, Any]
Rows = list[Row]

NOT_KNOWN = ("unknown", "waiting", "in_progress", "ringing", None)
"""What says that nobody knows, or that it is not over as far as anybody heard."""


class Decided(StrEnum):
    """The rules of METRICS by which a claim may be untrue, each with what was lost then."""

    REPORTED = "an enqueue was lost: the beginning is by Telnyx's own seconds, which it cuts"
    HANGUP_ENDS = "a dequeue was lost, and nothing but the hangup tells what came next: abandoned at the hangup"
    NEXT_DEQUEUE_ENDS = "a dequeue and the next enqueue into that queue were lost: a dequeue closes the open visit"
    TOLD_AGAIN = "an enqueue within a second of the dequeue before it was lost: two dequeues of one visit"
    OUT_OF_ORDER = "of two visits less than a second apart one lost its enqueue, the other its dequeue: one, wait 0"
    NEXT_BRIDGE_ANSWERS = "what ended the visit was lost, and what came next but for a bridge: answered by that"
    NO_BRIDGE = "the bridge was lost, on a connection where bridges are heard: failed"
    NO_HANGUP = "the hangup of a call that was kept in its queue was lost: it waited until its dequeue"
    END_ENDS = "a leave was lost: the stay ends with the conference"
    NEXT_LEAVE_ENDS = "a leave and the leg's next join were lost: a leave closes the open stay"
    FIRST_HEARD = "the first bridge of a leg was lost: the first that was heard counts"


@dataclass(frozen=True)
class Claim:
    """What a fact says of `whose` in one column, and what is true; `decided` are the rules that excuse it."""

    kind: str
    """beginning, end, bound, duration or outcome."""
    whose: str
    said: Any
    true: Any
    decided: tuple[Decided, ...] = ()
    marked: bool = False
    """The fact says elsewhere that this is not certain."""

    @property
    def verdict(self) -> str:
        """One of true, marked, decided and untrue. A bound is true of all that is not later."""
        if self.said == self.true or (
            self.kind == "bound" and None not in (self.said, self.true) and self.true <= self.said
        ):
            return "true"
        if self.marked or self.said in NOT_KNOWN:
            return "marked"
        return "decided" if self.decided else "untrue"


@dataclass(frozen=True)
class Losses:
    """A world, and the ids of those of its webhooks that came."""

    world: World
    arrived: Collection[str]

    @cached_property
    def _came(self) -> dict[tuple[str, str | None, str | None], list[Event]]:
        found: dict[tuple[str, str | None, str | None], list[Event]] = {}
        for event in self.world.events:
            if event.event_id in self.arrived:
                found.setdefault((event.event_type, event.leg_id, event.conference_id), []).append(event)
        return found

    def came(self, event_type: str, leg_id: str | None = None, conference_id: str | None = None) -> list[Event]:
        """The events of that type and of that leg, of a conference or of none, that came, in time order."""
        return self._came.get((event_type, leg_id, conference_id), [])

    def moments(self, event_type: str, leg_id: str | None = None, conference_id: str | None = None) -> list[int]:
        """When they happened."""
        return [event.at for event in self.came(event_type, leg_id, conference_id)]


def instant(us: int | None) -> datetime | None:
    """Unix microseconds as an instant."""
    return None if us is None else EPOCH + timedelta(microseconds=us)


def length_ms(begun: int | None, ended: int | None) -> int | None:
    """Whole milliseconds between two instants, each cut to the millisecond first."""
    return None if begun is None or ended is None else ended // 1_000 - begun // 1_000


def micros(moment: datetime) -> int:
    """An instant as Unix microseconds."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def one_of(rows: Iterable[Row], name: str) -> Iterator[tuple[Any, Row]]:
    """Rows by a column in which no two may say the same."""
    seen: set[Any] = set()
    for row in rows:
        assert row[name] not in seen, f"{name} {row[name]} has two rows"
        seen.add(row[name])
        yield row[name], row
