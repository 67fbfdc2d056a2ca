"""The rules of METRICS, read aloud: queue visits, stays and conferences from a list of happenings, one step at a time.

Slow and plain on purpose. Written from the definitions and not from the SQL, so that the two can disagree. Where the
definitions leave something open, the decision is said where it is taken.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from tests.support.model.calls import calls
from tests.support.model.conferences import conference
from tests.support.model.happening import (
    BRIDGED,
    CALL_RECORDED,
    CALL_RECORDING_SEEN,
    CALL_TYPES,
    CONFERENCE_TYPES,
    JOINED,
    LEG_TYPES,
    PLAYBACK_TYPES,
    RECORDED,
    RECORDING_SEEN,
    RELEVANT,
    SEEN_OF_ROOMS,
    SEEN_WAITING,
    Happening,
)
from tests.support.model.identity import named_in_full, tied, told_once, with_joins
from tests.support.model.media import playbacks, recordings
from tests.support.model.rows import Conference, Leg, Playback, Recording, Stay, Visit
from tests.support.model.stays import presences, stays
from tests.support.model.visits import visits
from tests.support.model.walk import lives


@dataclass(frozen=True)
class Facts:
    """All that follows from a list of happenings."""

    calls: list[Leg]
    queue_visits: list[Visit]
    participant_stays: list[Stay]
    conferences: list[Conference]
    recordings: list[Recording]
    playbacks: list[Playback]


TABLES: dict[str, type] = {
    "calls": Leg,
    "queue_visits": Visit,
    "participant_stays": Stay,
    "conferences": Conference,
    "recordings": Recording,
    "playbacks": Playback,
}


def facts(happenings: Iterable[Happening], *, judged_at: datetime) -> Facts:
    """What follows from `happenings`, each given once, in the eyes of somebody whose clock says `judged_at`."""
    known = list(happenings)
    bridges_heard: set[str | None] = {
        each.connection_id for each in known if each.event_type == BRIDGED and each.connection_id
    }
    found = Facts([], [], [], [], [], [])
    of_legs_and_rooms = tied(with_joins(known))
    for told in lives(each for each in of_legs_and_rooms if each.event_type in RELEVANT):
        life = told_once(named_in_full(told))
        origins = ",".join(sorted({each.origin for each in life}))
        for table, rows in _of_life(life, bridges_heard, judged_at).items():
            getattr(found, table).extend(replace(row, origins=origins, revision=len(life)) for row in rows)
    return found


def _of_life(life: list[Happening], bridges_heard: set[str | None], judged_at: datetime) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {
        "calls": calls([each for each in life if each.event_type in LEG_TYPES and (each.leg_id or each.control_id)]),
        "queue_visits": visits(
            [each for each in life if each.event_type in (*CALL_TYPES, SEEN_WAITING, JOINED)], bridges_heard, judged_at
        ),
        "recordings": recordings(
            [each for each in life if each.event_type in (RECORDED, CALL_RECORDED, RECORDING_SEEN, CALL_RECORDING_SEEN)]
        ),
        "playbacks": playbacks([each for each in life if each.event_type in PLAYBACK_TYPES]),
    }
    meeting = [
        each
        for each in life
        if each.event_type in (*CONFERENCE_TYPES, *SEEN_OF_ROOMS) and each.conference_id and not each.of_another
    ]
    if meeting:
        there = presences(meeting)
        found["participant_stays"] = stays(meeting, there)
        found["conferences"] = [conference(meeting, there)]
    return found


def columns(of: type) -> list[str]:
    """The columns that the rules determine."""
    return [field.name for field in fields(of)]
