"""What calls may claim where events were lost."""

from collections.abc import Iterator

from simulator.history import Leg
from tests.support.claims.claim import Claim, Decided, Losses, Row, Rows, instant, length_ms, one_of


def of_calls(losses: Losses, rows: Rows) -> Iterator[Claim]:
    """Beginning, answer, bridge, end, status, why it ended, ringing and talk of each row."""
    legs = {leg.leg_id: leg for leg in losses.world.history.legs}
    for leg_id, row in one_of(rows, "call_leg_id"):
        yield from _of_call(losses, legs[leg_id], row)


def _of_call(losses: Losses, leg: Leg, row: Row) -> Iterator[Claim]:
    name = f"call {leg.leg_id}"
    bridged = min(leg.bridged, default=None)
    heard = min(losses.moments("call.bridged", leg.leg_id), default=None)
    later = (Decided.FIRST_HEARD,) if bridged != heard else ()

    def excused(said: object, by_what_was_heard: object) -> tuple[Decided, ...]:
        return later if said == by_what_was_heard else ()

    yield Claim("beginning", name, row["initiated_at"], instant(leg.initiated))
    yield Claim("beginning", name, row["answered_at"], instant(leg.answered))
    yield Claim("beginning", name, row["bridged_at"], instant(bridged), excused(row["bridged_at"], instant(heard)))
    yield Claim("end", name, row["ended_at"], instant(leg.ended))
    yield Claim("outcome", name, row["status"], "ended")
    yield Claim("outcome", name, row["hangup_cause"], leg.hangup_cause)
    yield Claim("duration", name, row["ring_ms"], length_ms(leg.initiated, leg.answered))
    talk = row["talk_ms"]
    yield Claim("duration", name, talk, length_ms(bridged, leg.ended), excused(talk, length_ms(heard, leg.ended)))
