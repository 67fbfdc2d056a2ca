"""A call center as a discrete-event simulation: callers arrive, wait, talk, give up, are sent on.

Each queue serves first come, first served, with agents of its own. With no habits but arrivals, service and patience
it is exactly M/M/n+M, which is how its numbers are checked.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from simulator import extras, identity
from simulator.conversation import SHORTEST_S, Conversation
from simulator.history import (
    Fate,
    History,
    Leg,
    Visit,
)
from simulator.plan import Plan, Queue
from simulator.switchboard import Switchboard

_S = 1_000_000
_QUARTER = 900 * _S


@dataclass(slots=True)
class _Line:
    """The state of one queue: who stands in it (the dead who were kept, too), which agents are free."""

    queue: Queue
    free: deque[int]
    busy: int = 0
    standing: list[Visit] = field(default_factory=list)
    mean_wait_s: float = 0.0

    def next(self) -> Visit | None:
        return next((visit for visit in self.standing if visit.gone is None), None)


class Center:
    """Runs a plan from `start_us` (Unix time, microseconds) for as long as calls arrive, and until the last is over."""

    def __init__(self, plan: Plan, *, seed: int, start_us: int, duration_us: int) -> None:
        self._plan, self._habits = plan, plan.habits
        self._zone = ZoneInfo(plan.time_zone)
        self._start, self._end = start_us, start_us + duration_us
        self._rng = random.Random(f"{seed}/center")
        self._extras = random.Random(f"{seed}/extras")
        self._ids = random.Random(f"{seed}/visits")
        self._switchboard = Switchboard(random.Random(f"{seed}/legs"), client_state=plan.habits.client_state)
        self._lines = [_Line(queue, deque(range(max(queue.agents)))) for queue in plan.queues]
        self._agenda: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._planned = 0
        self._history = History(legs=self._switchboard.legs)
        self._hours: dict[int, int] = {}
        self._sent_on: set[Leg] = set()

    def run(self) -> History:
        """Return what happened. Every leg is over and every visit closed when it ends."""
        for line in self._lines:
            if any(line.queue.calls_per_hour):
                self._after(self._start, self._next_arrival_s(line), self._arrive, line)
            if len(set(line.queue.agents)) > 1:
                self._at(self._start // _QUARTER * _QUARTER + _QUARTER, self._shift, line)
        while self._agenda:
            at, _, act, args = heapq.heappop(self._agenda)
            act(at, *args)
        extras.add(self._history, self._habits, self._extras)
        return self._history

    def _at(self, at: int, act: Callable[..., None], *args: Any) -> None:
        self._planned += 1  # of two acts at one instant, the one planned first is done first
        heapq.heappush(self._agenda, (at, self._planned, act, args))

    def _after(self, at: int, delay_s: float, act: Callable[..., None], *args: Any) -> None:
        self._at(at + round(delay_s * _S), act, *args)

    def _happens(self, share: float) -> bool:
        return share > 0 and self._rng.random() < share

    def _some_s(self, mean_s: float) -> float:
        return self._rng.expovariate(1 / mean_s) if mean_s > 0 else 0.0

    def _hour(self, at: int) -> int:
        """Return the local hour; all offsets from UTC are whole quarters of an hour."""
        quarter = at // _QUARTER
        if quarter not in self._hours:
            self._hours[quarter] = datetime.fromtimestamp(at / _S, self._zone).hour
        return self._hours[quarter]

    # arrivals and shifts

    def _next_arrival_s(self, line: _Line) -> float:
        return self._rng.expovariate(max(line.queue.calls_per_hour) / 3600)

    def _arrive(self, at: int, line: _Line) -> None:
        """A candidate of the busiest hour's Poisson process; thinned to the rate of this one (Lewis and Shedler)."""
        if at >= self._end:
            return
        self._after(at, self._next_arrival_s(line), self._arrive, line)
        rates = line.queue.calls_per_hour
        if self._rng.random() * max(rates) < rates[self._hour(at)]:
            initiated = at - round(self._some_s(self._habits.greeting_s) * _S)
            leg = self._switchboard.caller(initiated, line.queue.name)
            leg.answered = min(at, initiated + self._rng.randrange(5, 400) * 1000)
            self._enqueue(at, line, leg)

    def _shift(self, at: int, line: _Line) -> None:
        """Agents come; those who go finish their talk first."""
        self._dispatch(at, line)
        if at < self._end:
            self._at(at + _QUARTER, self._shift, line)

    def _staffed(self, at: int, line: _Line) -> int:
        if at >= self._end:  # nobody goes home before the last caller is served
            return max(line.queue.agents)
        return line.queue.agents[self._hour(at)]

    # waiting

    def _enqueue(self, at: int, line: _Line, leg: Leg) -> None:
        position, average_s = len(line.standing) + 1, round(line.mean_wait_s)
        visit = Visit(identity.event_id(self._ids), leg, line.queue.name, at, position, average_s)
        self._history.visits.append(visit)
        line.standing.append(visit)
        self._dispatch(at, line)
        if visit.reason is None:
            self._set_limit(at, line, visit)

    def _set_limit(self, at: int, line: _Line, visit: Visit) -> None:
        queue, limits = line.queue, []
        if queue.mean_patience_s is not None:
            limits.append((self._some_s(queue.mean_patience_s), self._abandon))
        if queue.max_wait_s is not None:
            limits.append((queue.max_wait_s, self._time_out))
        if self._happens(self._habits.leave):
            limits.append((self._some_s(self._habits.leave_s), self._take_out))
        if limits:
            delay_s, act = min(limits, key=lambda limit: limit[0])
            self._after(at, delay_s, act, line, visit)

    def _dequeue(self, at: int, line: _Line, visit: Visit, reason: str, fate: Fate) -> None:
        visit.position_out = line.standing.index(visit) + 1
        line.standing.remove(visit)
        visit.left, visit.reason, visit.fate = at, reason, fate
        line.mean_wait_s += 0.05 * ((at - visit.enqueued) / _S - line.mean_wait_s)

    def _abandon(self, at: int, line: _Line, visit: Visit) -> None:
        if visit.reason is not None:
            return
        if self._happens(self._habits.keep_after_hangup):
            visit.gone = at
            visit.leg.hang_up(at)
            reason = self._rng.choice(("leave", "hangup"))
            self._after(at, self._rng.uniform(1, 60), self._bury, line, visit, reason)
        else:
            self._dequeue(at, line, visit, "hangup", Fate.ABANDONED)
            visit.leg.hang_up(at + self._rng.randrange(15_000))

    def _bury(self, at: int, line: _Line, visit: Visit, reason: str) -> None:
        self._dequeue(at, line, visit, reason, Fate.ABANDONED)

    def _time_out(self, at: int, line: _Line, visit: Visit) -> None:
        if visit.reason is not None:
            return
        self._dequeue(at, line, visit, "timeout", Fate.TIMED_OUT)
        if len(self._lines) > 1 and self._happens(self._habits.overflow):
            self._after(at, self._rng.uniform(0.2, 2), self._enqueue, self._other(line), visit.leg)
        else:
            visit.leg.hang_up(at + int(self._rng.uniform(5, 40) * _S))

    def _take_out(self, at: int, line: _Line, visit: Visit) -> None:
        if visit.reason is not None:
            return
        self._dequeue(at, line, visit, "leave", Fate.LEFT)
        visit.leg.hang_up(at + int(self._rng.uniform(3, 20) * _S), by="callee")

    def _other(self, line: _Line) -> _Line:
        return self._rng.choice([other for other in self._lines if other is not line])

    # talking

    def _dispatch(self, at: int, line: _Line) -> None:
        while line.busy < self._staffed(at, line) and (visit := line.next()) is not None:
            line.busy += 1
            self._offer(at, line, visit, line.free.popleft())

    def _offer(self, at: int, line: _Line, visit: Visit, number: int) -> None:
        """An agent is dialled. The call leaves the queue now, or when the agent picks up, or comes back to it."""
        at += round(self._some_s(self._habits.reaction_s) * _S)
        agent = self._switchboard.agent(at, visit.leg, f"{line.queue.name}-{number + 1:02d}")
        if self._happens(self._habits.no_pickup):
            self._dequeue(at, line, visit, "bridging-in-process", Fate.NOT_PICKED_UP)
            self._after(at, self._habits.no_pickup_s, self._not_picked_up, line, visit.leg, agent, number)
            if self._happens(self._habits.hangup_while_ringing):
                visit.leg.hang_up(at + int(self._rng.uniform(0.05, 0.95) * self._habits.no_pickup_s * _S))
            return
        picked_up = at + round(self._some_s(self._habits.ring_s) * _S)
        if self._happens(self._habits.bridging_in_process):
            self._dequeue(at, line, visit, "bridging-in-process", Fate.ANSWERED)
        else:
            # the call is this agent's already: while the telephone rings nobody else may take it, nor does it give up
            self._dequeue(picked_up, line, visit, "bridged", Fate.ANSWERED)
        self._talk(picked_up, line, visit.leg, agent, number)

    def _not_picked_up(self, at: int, line: _Line, caller: Leg, agent: Leg, number: int) -> None:
        agent.hang_up(at, by="unknown", cause="timeout", sip="487")
        if not caller.ended:
            self._enqueue(at, line, caller)
        self._release(at, line, number)

    def _talk(self, at: int, line: _Line, caller: Leg, agent: Leg, number: int) -> None:
        talk_s = line.queue.service.talk_s(self._rng)
        in_conference = talk_s >= SHORTEST_S and self._happens(self._habits.conference)
        cut_off = in_conference and talk_s > self._habits.conference_limit_s
        end = at + round((self._habits.conference_limit_s if cut_off else talk_s) * _S)
        agent.answered = at
        for leg in (caller, agent):
            leg.bridged.append(min(end, at + (self._rng.randrange(1, 40_000) if self._habits.ring_s else 0)))
        if in_conference:
            self._confer(caller, agent, at, end, cut_off=cut_off)
        elif talk_s > 30 and self._happens(self._habits.hold):
            third = (end - at) // 3
            caller.held.append((at + third, end - third))
        if len(self._lines) > 1 and caller not in self._sent_on and self._happens(self._habits.transfer):
            self._sent_on.add(caller)
            agent.hang_up(end + 2 * _S, by="callee")
            self._at(end + 3 * _S, self._enqueue, self._other(line), caller)
        elif cut_off:
            for leg in (caller, agent):
                leg.hang_up(end + _S, by="unknown")
        else:
            by = "caller" if self._rng.random() < 0.7 else "callee"
            caller.hang_up(end, by=by)
            agent.hang_up(end + self._rng.randrange(2 * _S), by=by)
        self._after(end, self._some_s(self._habits.wrap_up_s), self._release, line, number)

    def _confer(self, caller: Leg, agent: Leg, begun: int, ended: int, *, cut_off: bool) -> None:
        supervisor = None
        if self._happens(self._habits.supervisor):
            supervisor = self._switchboard.supervisor(begun)
            supervisor.answered = begun + _S
            supervisor.hang_up(ended + 3 * _S, by="callee")
        talk = Conversation(self._rng, self._habits, caller, agent, supervisor, begun, ended, cut_off)
        self._history.conferences.append(talk.conference())

    def _release(self, at: int, line: _Line, number: int) -> None:
        line.busy -= 1
        line.free.append(number)
        self._dispatch(at, line)
