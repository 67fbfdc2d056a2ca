"""As known then: a report as of a position is the same bytes later, and a difference says what came between."""

import csv
import io
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from holdtime.commands.as_of_source import known_at, positions_of
from holdtime.commands.report import write_difference, write_report
from holdtime.config.report_request import request_of
from holdtime.config.settings import (
    Configuration,
    Environment,
    Settings,
)
from processors.landing.landing import Landing
from processors.replay.as_of import UnreachedError
from reports.errors import RequestError
from reports.formats import FORMATS
from tests.support.builders import (
    NOON,
    Said,
    a_batch,
    a_call,
    a_conference,
    bodies,
)
from warehouse.database import open_writer

MINUTE = timedelta(minutes=1)
SETTINGS = Settings(environment=Environment(), configuration=Configuration())
EARLY = (
    a_call("ann").queued(at=NOON).answered(after=4).talked(9),
    a_call("bob").queued(at=NOON + 3 * MINUTE),
    a_call("cy").queued(at=NOON + 31 * MINUTE, queue="sales").abandoned(after=40),
    a_conference(start=NOON).created().joined("ann", 1),
    b"not an event",
)
LATE = (
    a_call("bob").queued(at=NOON + 3 * MINUTE).answered(after=15).talked(40),
    a_call("ann").queued(at=NOON).answered(after=4).talked(9),
    a_call("dan").queued(at=NOON + 45 * MINUTE).answered(after=30),
    a_conference(start=NOON).created().joined("ann", 1).left("ann", 60).ended(61),
    b"not an event either",
)


class Center:
    """A replica in a folder, into which batches land."""

    def __init__(self, folder: Path) -> None:
        self.replica = folder / "replica.duckdb"
        self.last = 0
        self.outputs = folder

    def land(self, *said: Said, now: datetime) -> int:
        """Land all of it as received now; returns the position it reached."""
        found = bodies(*said)
        with open_writer(self.replica) as db:
            Landing(db).land(a_batch(found, first_offset=self.last + 1, received=now), now)
        self.last += len(found)
        return self.last

    def report(self, name: str = "sla", *, form: str = "json", as_of: str | None = None, **asked: Any) -> bytes:
        output = self.outputs / "out"
        write_report(
            name,
            settings=SETTINGS,
            source=self.replica,
            asked=asked,
            as_of=as_of,
            form=form,
            output=output,
            raw=False,
            now=NOON + 40 * MINUTE if as_of is None else datetime.now(NOON.tzinfo),
        )
        return output.read_bytes()

    def difference(
        self,
        first: str,
        last: str | None = None,
        *,
        name: str = "sla",
        form: str = "json",
        events: bool = False,
        **asked: Any,
    ) -> Any:
        output = self.outputs / "out"
        write_difference(
            name,
            first,
            last,
            settings=SETTINGS,
            source=self.replica,
            asked={"interval": "30m", **asked},
            events=events,
            form=form,
            output=output,
            raw=False,
            now=datetime.now(NOON.tzinfo),
        )
        text = output.read_text(encoding="utf-8")
        return json.loads(text) if form == "json" else text


@pytest.fixture
def center(tmp_path: Path) -> Center:
    opened = Center(tmp_path)
    opened.land(*EARLY, now=NOON + 40 * MINUTE)
    return opened


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["sla", "conferences"])
def test_a_report_as_of_a_position_is_the_same_bytes_whatever_lands_later(center: Center, name: str, form: str) -> None:
    position = str(center.last)
    before = center.report(name, form=form, as_of=position, interval="30m")
    assert center.report(name, form=form, as_of=position, interval="30m") == before
    center.land(*LATE, now=NOON + 50 * MINUTE)
    center.land(now=NOON + timedelta(days=3))
    assert center.report(name, form=form, as_of=position, interval="30m") == before
    assert center.report(name, form=form, as_of=str(center.last), interval="30m") != before


@pytest.mark.parametrize("name", ["sla", "conferences", "completeness"])
def test_its_figures_are_those_that_a_report_told_at_the_time(center: Center, name: str) -> None:
    position = str(center.last)
    asked = {} if name == "completeness" else {"interval": "30m"}
    live = json.loads(center.report(name, **asked))
    center.land(*LATE, now=NOON + 50 * MINUTE)
    again = json.loads(center.report(name, **asked, as_of=position))
    assert json.loads(center.report(name, **asked))["sections"] != live["sections"]
    for part in ("sections", "period", "definition", "configuration", "definitions"):
        assert again[part] == live[part]
    assert again["basis"]["positions"] == live["basis"]["positions"]
    assert again["basis"]["events"] == live["basis"]["events"]


def test_a_report_as_of_a_position_says_so_and_tells_no_ages(center: Center) -> None:
    said = json.loads(center.report(as_of="3"))
    assert said["basis"] == {
        "events": 3,
        "landed_at": None,
        "published_at": None,
        "positions": [{"partition": 0, "offset": 3}],
        "as_of": "2026-02-03T12:40:00+00:00",
    }
    assert said["generated_at"] == said["basis"]["as_of"]
    assert any(note.startswith("As known at log position 0:3: rests on the 3 events") for note in said["notes"])
    assert not any(" ago" in note for note in said["notes"])


def test_before_the_first_record_nothing_is_known(center: Center) -> None:
    assert json.loads(center.report(as_of="0"))["basis"]["events"] == 0


def test_a_difference_names_figures_and_the_late_events_behind_them(center: Center) -> None:
    first = center.last
    center.land(*LATE, now=NOON + 50 * MINUTE)
    said = center.difference(str(first))
    sections = {section["name"]: section["rows"] for section in said["sections"]}
    answered = {
        (row["queue"], row["interval_start"]): (row["before"], row["after"])
        for row in sections["figures"]
        if row["measure"] == "answered"
    }
    assert answered == {
        ("support", None): (1, 3),
        ("All queues", None): (1, 3),
        ("support", "2026-02-03T12:00:00+00:00"): (1, 2),
        ("support", "2026-02-03T12:30:00+00:00"): (0, 1),
    }
    assert not [row for row in sections["figures"] if row["queue"] == "sales"]
    events = {row["event_id"]: (row["late"], row["lateness_ms"], row["position"]) for row in sections["events"]}
    assert set(events) == {"bob-01", "bob-02", "bob-03", "dan-00", "dan-01", "dan-02"}
    assert {name for name, (late, *_) in events.items() if late} == {"bob-01", "bob-02", "bob-03"}
    assert events["bob-01"][1:] == (2_805_000, f"0:{first + 2}")
    assert {"measure": "ASA", "before": "4 s", "after": "9.5 s"}.items() <= next(
        row for row in sections["read"] if row["interval_start"] and row["measure"] == "ASA"
    ).items()


@pytest.mark.parametrize("form", FORMATS)
def test_a_difference_can_be_had_in_every_format_and_again(center: Center, form: str) -> None:
    first, last = center.last, center.land(*LATE, now=NOON + 50 * MINUTE)
    before = center.difference(str(first), str(last), form=form)
    center.land(a_call("eve").queued(at=NOON), now=NOON + 60 * MINUTE)
    assert center.difference(str(first), str(last), form=form) == before


def test_a_difference_of_conferences_names_their_events(center: Center) -> None:
    first = center.last
    center.land(*LATE, now=NOON + 50 * MINUTE)
    rows = list(csv.DictReader(io.StringIO(center.difference(str(first), name="conferences", form="csv"), newline="")))
    assert ("0.0", "1.0") in {(row["before"], row["after"]) for row in rows if row["measure"] == "completed"}
    text = center.difference(str(first), name="conferences", form="csv", events=True)
    events = [row["event_type"] for row in csv.DictReader(io.StringIO(text, newline=""))]
    assert events == ["conference.participant.left", "conference.ended"]


def test_nothing_between_two_positions_makes_no_difference(center: Center) -> None:
    said = center.difference(str(center.last))
    assert {section["name"]: section["rows"] for section in said["sections"]} == {
        "read": [],
        "figures": [],
        "events": [],
    }


def test_what_time_alone_changed_is_said_to_have_no_event(center: Center) -> None:
    first = center.last
    center.land(a_call("zoe").queued(at=NOON + timedelta(days=2), queue="night"), now=NOON + timedelta(days=2))
    said = center.difference(str(first))
    assert any(note.startswith("1 legs or conferences changed without an event of their own") for note in said["notes"])


def test_a_clock_that_ran_ahead_does_not_make_all_that_follows_late(tmp_path: Path) -> None:
    center = Center(tmp_path)
    first = center.land(a_call("ahead").queued(at=NOON + timedelta(days=300)), now=NOON)
    center.land(a_call("bob").queued(at=NOON + MINUTE), now=NOON + MINUTE)
    rows = center.difference(str(first))["sections"][2]["rows"]
    assert [(row["event_id"], row["late"]) for row in rows] == [("bob-00", False)]


@pytest.mark.parametrize(
    ("text", "landed", "positions"),
    [("12", {0: 50}, {0: 12}), ("0:12", {0: 50}, {0: 12}), ("3:4,0:7", {0: 9, 3: 9}, {3: 4, 0: 7}), ("5", {}, {0: 5})],
)
def test_positions_are_read_as_they_are_written(text: str, landed: dict[int, int], positions: dict[int, int]) -> None:
    assert positions_of(text, landed) == positions


@pytest.mark.parametrize("text", ["", "x", "-1", "1,2", "5,1:3", "1:2:3", "0:1,", "٣", "1:1,1:2", "9" * 19, "7"])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="position"):
        positions_of(text, {0: 9, 1: 9})


def test_positions_that_were_not_reached_or_come_in_the_wrong_order_are_refused(center: Center) -> None:
    refused: list[tuple[Callable[[], Any], str]] = [
        (lambda: center.report(as_of="999"), f"0:999 has not landed yet: the last that did is 0:{center.last}"),
        (lambda: center.report(as_of="4:1"), "partition 4 of the log has never landed"),
        (lambda: center.difference("5", "3"), "position 5 is not before 3"),
        (lambda: center.difference("999"), "0:999 has not landed yet"),
    ]
    for act, words in refused:
        with pytest.raises((RequestError, UnreachedError), match=words):
            act()
    with pytest.raises(RequestError), known_at(center.replica, "all"):
        pass


def test_a_queue_is_known_from_the_position_on_at_which_it_was_heard_of(center: Center) -> None:
    asked: dict[str, Any] = {"queues": ("night",)}
    first = center.last
    with pytest.raises(RequestError, match="no queue is called 'night'; there "):
        center.report(as_of=str(first), **asked)
    center.land(a_call("eve").queued(at=NOON, queue="night").answered(after=10), now=NOON + 60 * MINUTE)
    assert json.loads(center.report(as_of=str(center.last), **asked))["period"]["queues"] == ["night"]
    with pytest.raises(RequestError, match="no queue is called 'night'; there "):
        center.report(as_of=str(first), **asked)


def test_settings_say_where_they_come_from() -> None:
    configuration = Configuration.model_validate({"timezone": "Europe/Athens", "service_level": {"target": 0.9}})
    settings = Settings(environment=Environment(), configuration=configuration)
    request = request_of(settings, {"threshold_secs": 30, "queues": (), "tz": None}, NOON)
    found = request.settings("tz", "target", "threshold_secs", "short_abandon_secs", "queues", "interval")
    assert [(one.name, one.value, one.origin) for one in found] == [
        ("tz", "Europe/Athens", "holdtime.toml"),
        ("target", 0.9, "holdtime.toml"),
        ("threshold_secs", 30, "option"),
        ("short_abandon_secs", 5, "default"),
        ("queues", (), "default"),
        ("interval", None, "default"),
    ]
