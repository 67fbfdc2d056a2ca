"""A talk held in a conference: who is in the room when, who has the floor, how it ends.

Stays and turns are laid out as intervals; the webhooks are made from them later. So what is true of a conference
is known before there are any events to derive it from.
"""

import random
from dataclasses import dataclass

from simulator import identity
from simulator.history import (
    Announcement,
    Conference,
    FloorTurn,
    Leg,
    Recording,
    Stay,
)
from simulator.plan import Habits

SHORTEST_S = 8.0
"""Talks shorter than this are plain bridges: there would be no room for the order of events in a conference."""
_MS = 1_000
_S = 1_000_000


def whole_ms(at_us: float) -> int:
    """Return the instant cut to the millisecond, the resolution of Telnyx's conference events."""
    return int(at_us) // _MS * _MS


@dataclass(slots=True)
class Conversation:
    """Lays out one conference between `begun` and `ended` (the end of the talk), with all who take part."""

    rng: random.Random
    habits: Habits
    caller: Leg
    agent: Leg
    supervisor: Leg | None
    begun: int
    ended: int
    cut_off: bool
    """The time limit ends the conference, rather than its people."""

    def conference(self) -> Conference:
        """Return what happens in the conference."""
        rng = self.rng
        created = whole_ms(self.begun + rng.uniform(50, 300) * _MS)
        first, second = (self.agent, self.caller) if rng.random() < 0.6 else (self.caller, self.agent)
        host_left = not self.cut_off and rng.random() < self.habits.host_left
        joins = {first: created + whole_ms(rng.uniform(0, 20_000)), second: created + self._soon(0.1, 1.5)}
        stays, ended = self._ending(joins, host_left=host_left)
        if rng.random() < self.habits.rejoin:
            self._drop_out(stays, self.caller if host_left else rng.choice((self.caller, self.agent)))
        if self.supervisor is not None:
            stays.append(self._listening_in(self.supervisor, stays, created, ended))
        stays.sort(key=lambda stay: stay.joined)
        return Conference(
            conference_id=identity.event_id(rng),
            creator=first,
            created=created,
            ended=ended,
            end_reason="time_exceeded" if self.cut_off else "host_left" if host_left else "all_left",
            stays=stays,
            turns=self._turns(stays, created, ended),
            recordings=self._recordings(created, ended),
            announcements=self._announcements(created, ended),
        )

    def _soon(self, least_s: float, most_s: float) -> int:
        return whole_ms(self.rng.uniform(least_s, most_s) * _S)

    def _ending(self, joins: dict[Leg, int], *, host_left: bool) -> tuple[list[Stay], int]:
        """Return each leg's stay and the conference's end. Those whom the end finds in the room may send no leave."""
        at = whole_ms(self.ended) + self._soon(0.005, 0.08)
        if self.cut_off or host_left:
            told = self.rng.random() < 0.5
            return [
                Stay(leg, joined, at, told=told or (host_left and leg is self.agent)) for leg, joined in joins.items()
            ], at
        last = at + self._soon(0.1, 1.5)
        leaves = [at, last] if self.rng.random() < 0.5 else [last, at]
        stays = [Stay(leg, joined, left) for (leg, joined), left in zip(joins.items(), leaves, strict=True)]
        return stays, last + self._soon(0, 0.04)

    def _drop_out(self, stays: list[Stay], leg: Leg) -> None:
        stay = next(stay for stay in stays if stay.leg is leg)
        room = stay.left - stay.joined
        away = stay.joined + whole_ms(room * self.rng.uniform(0.3, 0.5))
        back = away + whole_ms(room * self.rng.uniform(0.1, 0.3))
        stays.append(Stay(leg, back, stay.left, told=stay.told))
        stay.left, stay.told = away, True

    def _listening_in(self, leg: Leg, stays: list[Stay], created: int, ended: int) -> Stay:
        room = ended - created
        joined = created + whole_ms(room * self.rng.uniform(0.2, 0.5))
        dropped_out = [stay.left for stay in stays if stay.left < created + 0.55 * room]
        if dropped_out and self.rng.random() < 0.5:
            joined = dropped_out[0]  # at one instant, leaving comes before joining: this must not count as a peak
        left = created + whole_ms(room * self.rng.uniform(0.6, 0.95))
        return Stay(leg, joined, left)

    def _turns(self, stays: list[Stay], created: int, ended: int) -> list[FloorTurn]:
        """Give the floor to those present (or about to join), each time until the next change or the speaker's leave.

        The first turn begins before the conference does: Telnyx's floor change overtakes its creation.
        """
        rng = self.rng
        changes = [created - self._soon(0.001, 0.03)]
        while (at := changes[-1] + max(_MS, whole_ms(rng.expovariate(1 / self.habits.floor_s) * _S))) < ended:
            changes.append(at)
        speakers = []
        for at in changes:
            present = [stay for stay in stays if stay.joined - 60 * _MS <= at < stay.left]
            if present:
                speakers.append((at, rng.choice(present)))
        turns = []
        for n, (at, stay) in enumerate(speakers):
            until = speakers[n + 1][0] if n + 1 < len(speakers) else ended
            turns.append(FloorTurn(stay, at, min(until, stay.left)))
        return turns

    def _recordings(self, created: int, ended: int) -> list[Recording]:
        rng = self.rng
        if rng.random() >= self.habits.recording:
            return []
        saved = ended + int(rng.uniform(2, 20) * _S)
        channels, kind = rng.choice(("single", "dual")), rng.choice(("mp3", "wav"))
        return [Recording(identity.event_id(rng), created + 2 * _S + rng.randrange(_MS), ended, saved, channels, kind)]

    def _announcements(self, created: int, ended: int) -> list[Announcement]:
        rng = self.rng
        if rng.random() >= self.habits.announcement:
            return []
        begun = created + self._soon(1, 2)
        until = min(begun + self._soon(1, 4), ended)
        leg = self.caller if rng.random() < 0.5 else None
        media = "https://example.com/audio/recorded.mp3" if rng.random() < 0.5 else None
        return [Announcement(begun, until, leg, media)]
