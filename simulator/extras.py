"""The other webhooks of a leg: assistants, machine detection, recordings, playbacks, its cost.

All of it is added to a history that is complete without it, from a generator of its own: these habits never change who
calls, waits or talks.
"""

import random
from decimal import Decimal

from simulator import identity
from simulator.history import (
    Announcement,
    Bill,
    History,
    Leg,
    MachineVerdict,
    Recording,
    Talk,
    Visit,
)
from simulator.plan import Habits

_S = 1_000_000
MUSIC = "https://example.com/audio/music.mp3"
A_MINUTE = {"sip-trunking": Decimal("0.0050"), "call-control": Decimal("0.0020")}
"""What each part of a call costs a minute, in dollars."""


def add(history: History, habits: Habits, rng: random.Random) -> None:
    """Add the extras to each leg, as often as the habits say."""
    for visit in history.visits:
        _music(visit, habits, rng)
    for leg in history.legs:
        if leg.answered is None:
            continue
        if leg.incoming:
            _assistant(leg, leg.answered, habits, rng)
            _record(leg, habits, rng)
        else:
            _detect(leg, leg.answered, habits, rng)
        _charge(leg, leg.answered, habits, rng)


def _happens(share: float, rng: random.Random) -> bool:
    return share > 0 and rng.random() < share


def _music(visit: Visit, habits: Habits, rng: random.Random) -> None:
    """From just after the caller joined the queue until the call leaves it; not for those who wait a moment only."""
    begun = visit.enqueued + 200_000
    until = visit.left if visit.gone is None else visit.gone
    if until > begun and _happens(habits.music, rng):
        visit.leg.announcements.append(Announcement(begun, until, visit.leg, MUSIC))


def _assistant(leg: Leg, answered: int, habits: Habits, rng: random.Random) -> None:
    """The caller tells an assistant what they want, and hears its words."""
    if not _happens(habits.assistant, rng):
        return
    seconds = rng.randrange(1, 9)
    ended = answered + seconds * _S
    if ended < leg.ended:
        leg.talks.append(Talk(ended, seconds, rng.choice((None, "assistant_hangup"))))
        leg.announcements.append(Announcement(answered + 1_000, ended, leg, None))


def _detect(leg: Leg, answered: int, habits: Habits, rng: random.Random) -> None:
    if not _happens(habits.machine_detection, rng):
        return
    at, premium = answered + rng.randrange(100_000, 3 * _S), rng.random() < 0.3
    if at < leg.ended:
        person = "human_business" if premium else "human"
        leg.verdict = MachineVerdict(at, rng.choice((person, person, "machine", "not_sure")), premium)


def _record(leg: Leg, habits: Habits, rng: random.Random) -> None:
    if leg.bridged and _happens(habits.call_recording, rng):
        saved = leg.ended + int(rng.uniform(2, 20) * _S)
        channels = rng.choice(("single", "dual"))
        recording = Recording(identity.event_id(rng), leg.bridged[0], leg.ended, saved, channels, None)
        leg.recordings.append(recording)


def _charge(leg: Leg, answered: int, habits: Habits, rng: random.Random) -> None:
    """By the minute, each begun one in full; now and then Telnyx cannot tell the cost."""
    if not _happens(habits.cost, rng):
        return
    at = leg.ended + int(rng.uniform(1, 30) * _S)
    minutes = max(1, -(-(leg.ended - answered) // (60 * _S)))
    parts = {} if rng.random() < 0.02 else {name: minutes * price for name, price in A_MINUTE.items()}
    leg.bill = Bill(at, parts, 60 * minutes)
