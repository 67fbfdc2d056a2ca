"""What conferences, and stays in them, may claim where events were lost."""

from collections.abc import Iterator

from simulator.history import Conference, Stay
from tests.support.claims.claim import Claim, Decided, Losses, Row, Rows, instant, length_ms, micros, one_of


def of_conferences(losses: Losses, rows: Rows) -> Iterator[Claim]:
    """Beginning, end, status, why it ended and duration of each row."""
    rooms = {each.conference_id: each for each in losses.world.history.conferences}
    for conference_id, row in one_of(rows, "conference_id"):
        room, name = rooms[conference_id], f"conference {conference_id}"
        yield Claim("beginning", name, row["created_at"], instant(room.created))
        yield Claim("end", name, row["ended_at"], instant(room.ended))
        yield Claim("outcome", name, row["status"], "completed")
        yield Claim("outcome", name, row["end_reason"], room.end_reason)
        yield Claim("duration", name, row["duration_ms"], length_ms(room.created, room.ended))


def of_stays(losses: Losses, rows: Rows) -> Iterator[Claim]:
    """Beginning, end, bound and duration of each row. No stay has two."""
    rooms = {each.conference_id: each for each in losses.world.history.conferences}
    told: set[Stay] = set()
    for row in rows:
        room = rooms[row["conference_id"]]
        way = _Way(losses, room, row["call_leg_id"])
        stay = way.whose(row["stay_id"])
        assert stay not in told, f"a stay of {stay.leg.leg_id} has two rows"
        told.add(stay)
        yield from _of_stay(way, stay, row)


class _Way:
    """A leg's way in and out of a conference: what is left of it."""

    def __init__(self, losses: Losses, room: Conference, leg_id: str) -> None:
        where = (leg_id, room.conference_id)
        self.ended = next(
            (
                event.at
                for event in losses.world.events
                if event.event_id in losses.arrived
                and (event.event_type, event.conference_id) == ("conference.ended", room.conference_id)
            ),
            None,
        )
        self.stays = sorted((each for each in room.stays if each.leg.leg_id == leg_id), key=lambda each: each.joined)
        self._joins = losses.came("conference.participant.joined", *where)
        self._leaves = losses.came("conference.participant.left", *where)

    def whose(self, event_id: str) -> Stay:
        """The stay of which that event tells."""
        joined = [each.at for each in self._joins if each.event_id == event_id]
        left = [each.at for each in self._leaves if each.event_id == event_id]
        return next(each for each in self.stays if each.joined in joined or (each.told and each.left in left))

    def is_opened(self, stay: Stay) -> bool:
        return any(each.at == stay.joined for each in self._joins)

    def is_closed(self, stay: Stay) -> bool:
        return stay.told and any(each.at == stay.left for each in self._leaves)

    def after(self, stay: Stay) -> list[Stay]:
        """Those that came later and of which something was heard."""
        later = self.stays[self.stays.index(stay) + 1 :]
        return [each for each in later if self.is_opened(each) or self.is_closed(each)]

    def ends(self, stay: Stay) -> Iterator[tuple[Decided, int]]:
        """When it may be told to have ended, by which rule."""
        if self.is_closed(stay):
            return
        following = next(iter(self.after(stay)), None)
        if following is not None and not self.is_opened(following):
            yield Decided.NEXT_LEAVE_ENDS, following.left
        if following is None and self.ended is not None:
            yield Decided.END_ENDS, self.ended


def _of_stay(way: _Way, stay: Stay, row: Row) -> Iterator[Claim]:
    name = f"stay of {stay.leg.leg_id} from {instant(stay.joined)}"
    left = row["left_at"]
    ends = [(why, end) for why, end in way.ends(stay) if left is not None and micros(left) == end]
    why = tuple(rule for rule, _ in ends)
    joined = row["joined_at"]
    yield Claim("beginning", name, joined, instant(stay.joined))
    yield Claim("end", name, left, instant(stay.left), why)
    if row["left_at_latest"] is not None:
        yield Claim("bound", name, row["left_at_latest"], instant(stay.left))
    excused = why if row["duration_ms"] in [length_ms(stay.joined, end) for _, end in ends] else ()
    yield Claim("duration", name, row["duration_ms"], length_ms(stay.joined, stay.left), excused)
