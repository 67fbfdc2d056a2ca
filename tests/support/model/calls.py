"""The rules of a leg."""

from datetime import datetime

from tests.support.model.happening import (
    ANSWERED,
    BRIDGED,
    COST,
    HANGUP,
    HELD,
    INITIATED,
    LEG_TYPES,
    MACHINE,
    MACHINE_PREMIUM,
    TALKED_TO_A_MACHINE,
    UNHELD,
    Happening,
)
from tests.support.model.rows import Leg
from tests.support.model.walk import Pair, forward_ms, last_told, least, walked


def calls(events: list[Happening]) -> list[Leg]:
    """The one leg whose life this is, or none."""
    if not events:
        return []
    initiations = [each for each in events if each.event_type == INITIATED]
    initiated_at, answered_at, bridged_at = (
        min((each.at for each in events if each.event_type == event_type), default=None)
        for event_type in (INITIATED, ANSWERED, BRIDGED)
    )
    hangups = [each for each in events if each.event_type == HANGUP]
    hangup = hangups[0] if hangups else None
    ended_at = hangup.at if hangup else None
    numbers = told_numbers(events)
    over = hangups or any(each.event_type == COST for each in events)
    bill = last_told([each for each in events if each.event_type == COST and each.cost is not None])
    talks = [each for each in events if each.event_type == TALKED_TO_A_MACHINE]
    holds = [
        pair
        for pair in walked([each for each in events if each.event_type in (HELD, UNHELD)], HELD)
        if pair.opening and (ended_at is None or pair.opening.at <= ended_at)
    ]
    machines = [each.result for each in events if each.event_type in (MACHINE, MACHINE_PREMIUM)]
    lengths = [each.talked_secs for each in talks if each.talked_secs is not None]
    return [
        Leg(
            call_leg_id=least("leg_id", events),
            call_control_id=least("control_id", events),
            call_session_id=least("session_id", initiations) or least("session_id", events),
            connection_id=least("connection_id", initiations) or least("connection_id", events),
            direction=least("direction", events),
            from_number=numbers.from_number if numbers else None,
            to_number=numbers.to_number if numbers else None,
            initiated_at=initiated_at,
            answered_at=answered_at,
            bridged_at=bridged_at,
            ended_at=ended_at,
            status="ended" if over else "in_progress" if len(events) > len(initiations) else "ringing",
            hangup_cause=hangup.reason if hangup else None,
            hangup_source=hangup.hangup_source if hangup else None,
            ring_ms=forward_ms(initiated_at, answered_at),
            talk_ms=forward_ms(bridged_at, ended_at),
            holds=len(holds),
            hold_ms=sum(_hold_ms(hold, ended_at) or 0 for hold in holds),
            cost=bill.cost if bill else None,
            currency=bill.currency if bill else None,
            billed_secs=bill.billed_secs if bill else None,
            machine_result=last_told([result for result in machines if result is not None]),
            conversation_ms=1000 * sum(lengths) if lengths else None,
            conversation_reason=last_told([each.reason for each in talks if each.reason is not None]),
        )
    ]


def _hold_ms(hold: Pair, ended_at: datetime | None) -> int | None:
    """Up to the unhold, to the leg's end at the latest; unknown where the leg was held once more meanwhile."""
    if hold.opening is None or (hold.reopened_at is not None and (ended_at is None or hold.reopened_at <= ended_at)):
        return None
    until = [] if ended_at is None else [ended_at]
    until += [hold.closing.at] if hold.closing else []
    return forward_ms(hold.opening.at, min(until, default=None))


def told_numbers(events: list[Happening]) -> Happening | None:
    """The first initiation that names a number, else whatever else of the leg's life does so first."""
    telling = [each for each in events if each.event_type in LEG_TYPES and (each.from_number or each.to_number)]
    return min(telling, key=lambda each: (each.event_type != INITIATED, each.at, each.event_id), default=None)
