"""What a center is like: its queues, its staffing and the habits of its callers and agents. Values only."""

import math
import random
from dataclasses import dataclass
from typing import Literal, Self
from zoneinfo import ZoneInfo

HOURS = 24


@dataclass(frozen=True, slots=True)
class TalkTime:
    """How long talks last: exponential, or lognormal with `sigma` (real talk times are; Brown et al., 2005)."""

    mean_s: float
    shape: Literal["exponential", "lognormal"] = "lognormal"
    sigma: float = 0.8
    longest_s: float = math.inf
    """A talk that would last longer lasts this long."""

    def talk_s(self, rng: random.Random) -> float:
        """Draw one talk's length, in seconds."""
        if self.shape == "exponential":
            drawn_s = rng.expovariate(1 / self.mean_s)
        else:
            drawn_s = rng.lognormvariate(math.log(self.mean_s) - self.sigma**2 / 2, self.sigma)
        return min(drawn_s, self.longest_s)


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue with agents of its own. Both profiles have one entry for each local hour of the day.

    `mean_patience_s` None: nobody gives up. `max_wait_s` None: the queue never times a call out.
    """

    name: str
    calls_per_hour: tuple[float, ...]
    agents: tuple[int, ...]
    service: TalkTime
    mean_patience_s: float | None
    max_wait_s: float | None = None

    def __post_init__(self) -> None:
        for profile, named in ((self.calls_per_hour, "calls_per_hour"), (self.agents, "agents")):
            if len(profile) != HOURS or min(profile) < 0:
                raise ValueError(f"{self.name}: {named} needs {HOURS} entries, none negative; got {profile!r}")
        if max(self.agents) < 1:
            raise ValueError(f"{self.name}: agents is 0 all day, so nobody would ever answer")


@dataclass(frozen=True, slots=True)
class Habits:
    """Shares (0 to 1) of what may happen, and mean durations in seconds. The defaults are a center without quirks."""

    greeting_s: float = 0.0
    """From call.initiated to the queue."""
    reaction_s: float = 0.0
    """Mean time from an agent's being free for a call to the command that offers it."""
    ring_s: float = 0.0
    """Mean time an agent takes to pick up; the agent is taken meanwhile."""
    wrap_up_s: float = 0.0
    """Mean time an agent is away after a talk."""
    bridging_in_process: float = 0.0
    """Of picked-up calls: those dequeued before the agent has picked up."""
    no_pickup: float = 0.0
    """Of offers to an agent: not picked up; the call goes back to the end of the same queue, on the same leg."""
    no_pickup_s: float = 15.0
    hangup_while_ringing: float = 0.0
    """Of offers not picked up: the caller hangs up before the call is back in the queue."""
    keep_after_hangup: float = 0.0
    """Of abandoned visits: the call stays in the queue for a while after the caller is gone."""
    leave: float = 0.0
    """Of visits: taken out by command (callback, voicemail) unless something happens first."""
    leave_s: float = 45.0
    overflow: float = 0.0
    """Of timed-out visits: the parked call goes on to another queue."""
    transfer: float = 0.0
    """Of talks: the agent sends the caller on to another queue; once a call."""
    hold: float = 0.0
    """Of plain talks: the caller is put on hold once."""
    conference: float = 0.0
    """Of talks: held in a conference instead of a plain bridge."""
    conference_limit_s: float = 4 * 3600.0
    """When Telnyx ends a conference (`time_exceeded`)."""
    host_left: float = 0.3
    """Of conferences: end because the agent, their host, leaves."""
    rejoin: float = 0.0
    """Of conferences: somebody drops out and comes back."""
    supervisor: float = 0.0
    """Of conferences: a supervisor listens in, an ordinary participant to Telnyx."""
    floor_s: float = 45.0
    """Mean time between changes of the speaker."""
    recording: float = 0.0
    announcement: float = 0.0
    """Of conferences: something is played or spoken to all or to the caller."""
    assistant: float = 0.0
    """Of callers: talk to an assistant first."""
    music: float = 0.0
    """Of visits: hear music in the queue."""
    machine_detection: float = 0.0
    """Of agents' legs that were picked up: asked whether a person did."""
    call_recording: float = 0.0
    """Of bridged callers: the call is recorded to its end."""
    cost: float = 0.0
    """Of answered legs: Telnyx tells what they cost."""
    client_state: float = 0.0
    """Of legs: carry a client_state; otherwise it is null."""
    api_v1: float = 0.0
    """Of webhooks: in the v1 format, dotted or snake_case."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A center. `time_zone` is the IANA zone in which the queues' hours are read."""

    queues: tuple[Queue, ...]
    habits: Habits = Habits()
    time_zone: str = "UTC"
    connection_id: str = "2963572552552678752"
    delivered_to: str = "https://example.com/webhooks/telnyx"

    def __post_init__(self) -> None:
        ZoneInfo(self.time_zone)  # raises ZoneInfoNotFoundError here, not an hour into a run
        names = [queue.name for queue in self.queues]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"a plan needs queues with different names, got {names}")

    @classmethod
    def erlang_a(cls, rate: float, mean_service: float, agents: int, mean_patience: float | None) -> Self:
        """Return one exact M/M/n+M queue: `rate` calls a second, times in seconds; no patience gives Erlang C.

        Calls are served first come, first served, at the very instant an agent is free, and nothing else happens.
        """
        service = TalkTime(mean_service, "exponential")
        profile = (rate * 3600,) * HOURS
        return cls((Queue("erlang", profile, (agents,) * HOURS, service, mean_patience),))

    @classmethod
    def medium(cls) -> Self:
        """Return a center of three queues in New York with all of Telnyx's quirks, every day alike.

        About 2,000 calls and 27,000 webhooks a day, 200 calls in the busiest hour; service levels (20 s) are between
        70 and 90 %.
        """
        return cls(
            queues=(
                Queue(
                    name="sales",
                    calls_per_hour=_by_hour(SALES_PEAK, _OFFICE),
                    agents=_staffing(SALES_PEAK, 240, _OFFICE),
                    service=TalkTime(200, longest_s=MAX_TALK_S),
                    mean_patience_s=110,
                    max_wait_s=90,
                ),
                Queue(
                    name="support",
                    calls_per_hour=_by_hour(SUPPORT_PEAK, _LONG),
                    agents=_staffing(SUPPORT_PEAK, 365, _LONG),
                    service=TalkTime(320, longest_s=MAX_TALK_S),
                    mean_patience_s=240,
                    max_wait_s=180,
                ),
                Queue(
                    name="billing",
                    calls_per_hour=_by_hour(BILLING_PEAK, _OFFICE),
                    agents=_staffing(BILLING_PEAK, 230, _OFFICE),
                    service=TalkTime(170, sigma=0.6, longest_s=MAX_TALK_S),
                    mean_patience_s=150,
                    max_wait_s=120,
                ),
            ),
            habits=Habits(
                greeting_s=12,
                reaction_s=0.2,
                ring_s=2,
                wrap_up_s=20,
                bridging_in_process=0.4,
                no_pickup=0.03,
                hangup_while_ringing=0.15,
                keep_after_hangup=0.1,
                leave=0.06,
                overflow=0.5,
                transfer=0.05,
                hold=0.1,
                conference=0.2,
                conference_limit_s=900,
                rejoin=0.08,
                supervisor=0.06,
                recording=0.3,
                announcement=0.2,
                assistant=0.1,
                music=0.05,
                machine_detection=0.1,
                call_recording=0.1,
                cost=0.2,
                client_state=0.3,
            ),
            time_zone="America/New_York",
        )


MAX_TALK_S = 1500.0
SALES_PEAK = 85.0
SUPPORT_PEAK = 75.0
BILLING_PEAK = 40.0
# calls in each local hour as a share of the busiest one
_OFFICE_NIGHT = (0.02, 0.01, 0.01, 0.01, 0.01, 0.03, 0.08, 0.25)
_OFFICE_DAY = (0.65, 0.9, 1.0, 0.95, 0.75, 0.85, 0.98, 0.92, 0.75, 0.5)
_OFFICE_EVENING = (0.28, 0.18, 0.12, 0.08, 0.05, 0.03)
_OFFICE = (*_OFFICE_NIGHT, *_OFFICE_DAY, *_OFFICE_EVENING)
_LONG_NIGHT = (0.1, 0.07, 0.05, 0.05, 0.06, 0.1, 0.2, 0.4)
_LONG_DAY = (0.7, 0.92, 1.0, 0.96, 0.85, 0.88, 0.95, 0.92, 0.85, 0.75)
_LONG_EVENING = (0.7, 0.62, 0.5, 0.36, 0.25, 0.15)
_LONG = (*_LONG_NIGHT, *_LONG_DAY, *_LONG_EVENING)


def _by_hour(peak: float, shape: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(round(peak * share, 2) for share in shape)


def _staffing(peak: float, handling_s: float, shape: tuple[float, ...]) -> tuple[int, ...]:
    """Staff each hour by the square-root rule (Halfin and Whitt): the load, and a margin that grows as its root."""
    loads = [peak * share * handling_s / 3600 for share in shape]
    return tuple(max(1, math.ceil(load + 0.5 * math.sqrt(load))) for load in loads)
