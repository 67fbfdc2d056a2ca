"""What is behind a difference: the events on which figures that changed rest, and no others."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.builders import (
    NOON,
    Said,
    a_call,
    a_conference,
)
from tests.support.replica_folder import ReplicaFolder

MINUTE = timedelta(minutes=1)


def difference(folder: Path, before: list[Said], after: list[Said], **asked: Any) -> dict[str, Any]:
    """The difference that landing some events after others makes."""
    center = ReplicaFolder(folder)
    first = center.land(*before, now=NOON + 60 * MINUTE)
    center.land(*after, now=NOON + 61 * MINUTE)
    said: dict[str, Any] = center.difference(str(first), **asked)
    return said


def named(said: dict[str, Any]) -> list[tuple[str, str]]:
    (rows,) = (section["rows"] for section in said["sections"] if section["name"] == "events")
    return [
        (row["entity"].removeprefix("v3:"), row["event_type"].removeprefix("call.").removeprefix("conference."))
        for row in rows
    ]


def figures(said: dict[str, Any]) -> set[str]:
    (rows,) = (section["rows"] for section in said["sections"] if section["name"] == "figures")
    return {row["measure"] for row in rows}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"queues": ("first",)}, ["dequeued", "bridged"]),
        ({"queues": ("second",)}, ["dequeued", "bridged", "hangup"]),
        ({"to": "2026-02-03T12:03"}, ["dequeued", "bridged"]),
        ({"from_": "2026-02-03T12:03"}, ["dequeued", "bridged", "hangup"]),
        ({}, ["dequeued", "bridged", "dequeued", "bridged", "hangup"]),
    ],
)
def test_of_a_leg_in_two_queues_the_events_of_what_was_asked_for_are_named(
    tmp_path: Path, asked: dict[str, Any], expected: list[str]
) -> None:
    events = list(
        a_call("ann")
        .queued(at=NOON, queue="first")
        .answered(after=10)
        .queued(at=NOON + 5 * MINUTE, queue="second")
        .answered(after=20)
        .talked(60)
    )
    enqueued = [each for each in events if each.event_type == "call.enqueued"]
    said = difference(tmp_path, [*enqueued], [each for each in events if each not in enqueued], **asked)
    assert named(said) == [("ann", event_type) for event_type in expected]


def test_an_enqueue_that_ended_a_visit_elsewhere_is_behind_it(tmp_path: Path) -> None:
    first, second = a_call("ann").queued(at=NOON, queue="first").queued(at=NOON + MINUTE, queue="second")
    said = difference(tmp_path, [first], [second], queues=("first",))
    assert named(said) == [("ann", "enqueued")]
    assert "unknown" in figures(said)


def test_what_tells_of_a_leg_but_changes_no_figure_is_not_named(tmp_path: Path) -> None:
    call = a_call("bob").initiated(at=NOON).queued(after=1).answered(after=15).held(20, after=5).talked(30)
    events = list(call.told("call.cost", after=1, total_cost="0.01"))
    assert [each.event_type for each in events[:2]] == ["call.initiated", "call.enqueued"]
    said = difference(tmp_path, [events[1]], [events[0], *events[2:]])
    assert named(said) == [("bob", "dequeued"), ("bob", "bridged"), ("bob", "hangup")]


def test_a_talk_that_ends_changes_no_figure_of_visits(tmp_path: Path) -> None:
    *told, hangup = a_call("bob").queued(at=NOON).answered(after=15).talked(30)
    late = a_call("cy").queued(at=NOON + MINUTE)
    said = difference(tmp_path, [*told], [hangup, late])
    assert named(said) == [("cy", "enqueued")]


def test_a_report_names_the_events_of_its_own_figures(tmp_path: Path) -> None:
    # Answered, nobody says when: no wait, so that no figure of waits is another one.
    enqueued, bridged = a_call("ann").queued(at=NOON).bridged(after=10)
    late = a_call("cy").queued(at=NOON + MINUTE).answered(after=8)
    waits = difference(tmp_path / "waits", [enqueued], [bridged], name="waits")
    assert (figures(waits), named(waits)) == (set(), [])
    assert not any("without an event of their own" in note for note in waits["notes"])
    levels = difference(tmp_path / "sla", [enqueued], [bridged])
    assert named(levels) == [("ann", "bridged")]
    both = difference(tmp_path / "both", [enqueued], [bridged, late], name="waits")
    assert named(both) == [("cy", "enqueued"), ("cy", "dequeued"), ("cy", "bridged")]


def test_what_happened_outside_of_the_period_is_behind_nothing_in_it(tmp_path: Path) -> None:
    early = a_call("ann").queued(at=NOON).answered(after=4)
    late = a_call("bob").queued(at=NOON + 40 * MINUTE).answered(after=4)
    asked = {"from_": "2026-02-03T12:30", "to": "2026-02-03T13:00"}
    said = difference(tmp_path, [a_call("cy").queued(at=NOON + 31 * MINUTE)], [early, late], **asked)
    assert {entity for entity, _ in named(said)} == {"bob"}


@pytest.mark.parametrize(
    ("event_type", "measures", "events"),
    [
        ("conference.recording.saved", {"recordings"}, ["recording.saved"]),
        ("conference.floor.changed", {"floor_changes"}, ["floor.changed"]),
        (
            "conference.participant.joined",
            {"stays", "unique_participants", "peak_participants", "mean_peak_participants"},
            ["participant.joined"],
        ),
        ("conference.speak.started", set(), []),
    ],
)
def test_of_a_conference_the_events_behind_what_changed_are_named(
    tmp_path: Path, event_type: str, measures: set[str], events: list[str]
) -> None:
    room = a_conference("room", start=NOON).created().joined("ann", 1).joined("bob", 2).floor("ann", 9)
    created, ann, *more = room.recorded(5, 9).heard(5, 9)
    assert {each.event_type for each in more} > {event_type}
    late = [each for each in more if each.event_type == event_type]
    said = difference(tmp_path, [created, ann], [*late], name="conferences")
    assert figures(said) == measures
    assert [event_type for _, event_type in named(said)] == events


def test_conferences_of_other_queues_are_not_named(tmp_path: Path) -> None:
    calls = [a_call(leg).queued(at=NOON, queue=queue) for leg, queue in (("ann", "first"), ("bob", "second"))]
    rooms = [a_conference(f"with-{leg}", start=NOON, creator=leg).created() for leg in ("ann", "bob")]
    said = difference(tmp_path, [*calls], [*rooms], name="conferences", queues=("second",))
    assert named(said) == [("with-bob", "created")]
