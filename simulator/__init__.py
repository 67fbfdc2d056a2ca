"""The simulator: a call center that knows the truth about itself, and the Telnyx that reports on it.

It promises: the same plan, seed and start give the same webhooks, byte for byte; their shapes are Telnyx's, quirks
included; what the warehouse must show for them is known from what happened, not from the webhooks; nothing is posted
to another machine unless that is asked for. It imports none of the other rooms, so it can judge them all.

    world = simulate(Plan.medium(), seed=1, start=noon, duration=timedelta(hours=24))
    deliveries = deliver(world.events, Faults(delay_s=0.5, duplicates=0.05), seed=1)
    posted = asyncio.run(post(deliveries, url="http://127.0.0.1:8080/webhooks/telnyx", key=key))
"""

from simulator.keep_alive import BROKEN, Target
from simulator.network import (
    NONE,
    Faults,
    SimulatedDelivery,
    deliver,
)
from simulator.plan import (
    Habits,
    Plan,
    Queue,
    TalkTime,
)
from simulator.poster import Posted, Retries, post
from simulator.rows import (
    TABLES,
    CallRow,
    ConferenceRow,
    ParticipantStay,
    PlaybackRow,
    QueueVisit,
    RecordingRow,
)
from simulator.telnyx import Event
from simulator.truth import Truth
from simulator.world import (
    World,
    demo,
    simulate,
)

__all__ = [
    "BROKEN",
    "NONE",
    "TABLES",
    "CallRow",
    "ConferenceRow",
    "Event",
    "Faults",
    "Habits",
    "ParticipantStay",
    "Plan",
    "PlaybackRow",
    "Posted",
    "Queue",
    "QueueVisit",
    "RecordingRow",
    "Retries",
    "SimulatedDelivery",
    "TalkTime",
    "Target",
    "Truth",
    "World",
    "deliver",
    "demo",
    "post",
    "simulate",
]
