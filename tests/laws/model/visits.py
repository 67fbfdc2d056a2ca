"""The rules of queue visits."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.laws.model.calls import told_numbers
from tests.laws.model.happening import BRIDGED, DEQUEUED, ENQUEUED, HANGUP, LONGEST_WAIT, NEVER, SEEN_WAITING, Happening
from tests.laws.model.observed import told_by_waiting
from tests.laws.model.rows import Visit
from tests.laws.model.walk import Pair, earliest, grouped, ms, near, walked


@dataclass(frozen=True)
class _Wait:
    """A pair in a queue, and when it began as far as anybody said."""

    pair: Pair
    enqueued_at: datetime | None
    source: str | None
    begun_at: datetime
    """The enqueue; where nobody said when that was, the dequeue, for finding what followed."""

    @property
    def over_at(self) -> datetime:
        return self.pair.closing.at if self.pair.closing else self.pair.reopened_at or NEVER


def visits(events: list[Happening], bridges_heard: set[str | None], judged_at: datetime) -> list[Visit]:
    """The visits of one leg."""
    moves = [each for each in events if each.event_type in (ENQUEUED, DEQUEUED)]
    moves += told_by_waiting(events)
    pairs = [pair for moves_here in grouped(lambda each: each.queue, moves) for pair in walked(moves_here, ENQUEUED)]
    # Visits that begin and end together are told apart by nothing but their ids.
    waits = sorted(map(_wait, pairs), key=lambda wait: (wait.begun_at, wait.over_at, wait.pair.pair_id))
    beginnings = [wait.begun_at for wait in waits[1:]]
    return [
        _visit(wait, next_begins, events, bridges_heard, judged_at)
        for wait, next_begins in zip(waits, [*beginnings, NEVER], strict=False)
    ]


def _wait(pair: Pair) -> _Wait:
    if pair.opening is not None and pair.opening.status == "rest":
        return _Wait(pair, pair.opening.at, "rest", pair.opening.at)
    if pair.opening is not None:
        return _Wait(pair, pair.opening.at, "observed", pair.opening.at)
    assert pair.closing is not None
    if pair.closing.reported_wait_secs is None:
        return _Wait(pair, None, None, pair.closing.at)
    reported = pair.closing.at - timedelta(seconds=pair.closing.reported_wait_secs)
    return _Wait(pair, reported, "reported", reported)


def _visit(
    wait: _Wait, next_begins: datetime, events: list[Happening], bridges_heard: set[str | None], judged_at: datetime
) -> Visit:
    pair, closing = wait.pair, wait.pair.closing
    hangups = [each.at for each in events if each.event_type == HANGUP and each.at >= wait.begun_at]
    hung_up = min(hangups, default=None)
    bridges = [each.at for each in events if each.event_type == BRIDGED and wait.begun_at <= each.at < next_begins]
    confirmed = bool(bridges)
    numbers = told_numbers(events)
    connection_id = pair.first("connection_id")
    sightings = [
        each
        for each in events
        if each.event_type == SEEN_WAITING
        and each.queue == pair.first("queue")
        and pair.opening is not None
        and near(pair.opening.at, each.began)
    ]
    seen_waiting_at = max((each.over for each in sightings if each.present and each.over), default=None)
    gone_by = min((each.over for each in sightings if each.present is False and each.over), default=None)
    stopped_waiting = left_at = closing.at if closing else None
    hangup_decides = False
    if closing is not None:
        outcome = _outcome(closing.reason, confirmed, hung_up is not None and connection_id in bridges_heard)
        hangup_decides = outcome == "failed_bridge"
        if hung_up is not None and hung_up < closing.at:  # kept in the queue after the hangup
            outcome, stopped_waiting, hangup_decides = "abandoned", hung_up, True
    elif pair.reopened_at is not None:
        outcome = "unknown"
    elif hung_up is not None:
        outcome, stopped_waiting, left_at, hangup_decides = "abandoned", hung_up, hung_up, True
    else:
        last_seen = seen_waiting_at or wait.begun_at
        outcome = "unknown" if gone_by or last_seen <= judged_at - LONGEST_WAIT else "waiting"
    by_bridge = closing is not None and closing.reason in ("bridged", "bridging-in-process")
    rests_on = {(HANGUP, hung_up)} if hangup_decides else set()
    rests_on |= {(BRIDGED, min(bridges))} if by_bridge and confirmed else set()
    told = {(numbers.event_type, numbers.at)} if numbers else set()
    return Visit(
        visit_id=pair.pair_id,
        call_control_id=pair.first("control_id"),
        call_leg_id=pair.first("leg_id"),
        call_session_id=pair.first("session_id"),
        connection_id=connection_id,
        queue=pair.first("queue"),
        from_number=numbers.from_number if numbers else None,
        to_number=numbers.to_number if numbers else None,
        enqueued_at=wait.enqueued_at,
        enqueued_at_source=wait.source,
        left_at=left_at,
        left_at_latest=earliest(gone_by, pair.reopened_at) if left_at is None else None,
        seen_waiting_at=seen_waiting_at if left_at is None else None,
        wait_ms=ms(wait.enqueued_at, stopped_waiting),
        in_queue_ms=ms(wait.enqueued_at, left_at),
        reported_wait_secs=closing.reported_wait_secs if closing else None,
        reason=closing.reason if closing else None,
        outcome=outcome,
        answer_confirmed=confirmed if by_bridge else None,
        position_in=pair.opening.position if pair.opening else None,
        position_out=closing.position if closing else None,
        revision=(pair.opening is not None) + (closing is not None) + len(rests_on | told),
    )


def _outcome(reason: str | None, confirmed: bool, over_where_bridges_are_heard: bool) -> str:
    if reason == "bridging-in-process" and not confirmed and over_where_bridges_are_heard:
        return "failed_bridge"
    return {
        "bridged": "answered",
        "bridging-in-process": "answered",
        "hangup": "abandoned",
        "timeout": "timed_out",
        "leave": "left",
    }.get(reason or "", "unknown")
