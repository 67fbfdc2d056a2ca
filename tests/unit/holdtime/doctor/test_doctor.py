"""The doctor: what is wrong is named with what to do, what is open is listed with its age, and nothing is touched."""

import asyncio
import base64
import http.server
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from nacl.signing import SigningKey
from rich.console import Console

from eventlog.log import Record
from eventlog.sqlite.log import SqliteLog
from holdtime.doctor import findings
from holdtime.doctor.checks import Check, Severity
from holdtime.doctor.doctor import Examination, examine
from processors.landing.landing import Landing
from schedules.ledger import Ledger
from tests.support.builders import (
    LATER,
    NOON,
    Event,
    Said,
    a_batch,
    a_call,
    a_conference,
    bodies,
    microseconds,
)
from warehouse.database import open_writer
from warehouse.replica import publish

KEY = base64.b64encode(bytes(SigningKey(bytes(range(32))).verify_key)).decode()


@dataclass(frozen=True)
class Place:
    """A folder in which nothing is yet, and the environment that points to it."""

    folder: Path

    def path(self, name: str) -> Path:
        return self.folder / name

    def landed(self, *said: Said, now: datetime = LATER, received: datetime = NOON) -> None:
        """A warehouse with all of it, and its replica, published at `now`."""
        db = open_writer(self.path("warehouse.duckdb"))
        landing = Landing(db)
        landing.land(a_batch(bodies(*said), received=received), now)
        publish(db, self.path("warehouse.duckdb"), self.path("replica.duckdb"))
        db.close()
        os.utime(self.path("replica.duckdb"), (now.timestamp(), now.timestamp()))

    def logged(self, many: int) -> None:
        """A log with so many records, none of them landed."""

        async def append() -> None:
            log = SqliteLog(self.path("log.sqlite"))
            await log.start()
            for _ in range(many):
                await log.append(Record(b"{}", microseconds(NOON)))
            await log.close()

        asyncio.run(append())

    def examined(self, *, now: datetime = LATER, most: int = 5) -> Examination:
        return examine(self.path("holdtime.toml"), now=now, most=most)

    def check(self, name: str, *, now: datetime = LATER) -> Check:
        (found,) = (check for check in self.examined(now=now).checks if check.name == name)
        return found


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    (tmp_path / "holdtime.toml").touch()
    monkeypatch.setenv("TELNYX_PUBLIC_KEY", KEY)
    monkeypatch.setenv("HOLDTIME_LOG", f"sqlite:{tmp_path / 'log.sqlite'}")
    monkeypatch.setenv("HOLDTIME_WAREHOUSE", str(tmp_path / "warehouse.duckdb"))
    monkeypatch.setenv("HOLDTIME_REPLICA", str(tmp_path / "replica.duckdb"))
    monkeypatch.setenv("HOLDTIME_HTTP_PORT", "9")  # where nothing listens
    return Place(tmp_path)


@contextmanager
def answering(body: bytes) -> Iterator[int]:
    """Somebody who answers everything with that; gives the port."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_before_anything_ever_ran_there_is_nothing_wrong_and_nothing_made(place: Place) -> None:
    found = place.examined()
    assert not found.failed
    assert {check.name: check.verdict for check in found.checks} == {
        "configuration": Severity.OK,
        "keys": Severity.OK,
        "log": Severity.NOTE,
        "warehouse": Severity.NOTE,
        "server": Severity.NOTE,
        "replica": Severity.NOTE,
    }
    assert all(check.do for check in found.checks if check.verdict is not Severity.OK)
    assert [each.name for each in place.folder.iterdir()] == ["holdtime.toml"]


@pytest.mark.parametrize("key", ["", "bm90IGEga2V5"])
def test_a_key_that_is_none_fails(place: Place, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("TELNYX_PUBLIC_KEY", key)
    assert place.examined().failed
    assert "TELNYX_PUBLIC_KEY" in place.check("keys").found


def test_every_fault_of_the_configuration_is_a_failed_check(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.path("holdtime.toml").write_text("keep_log_days = -1\nweather = 1\n")
    monkeypatch.setenv("HOLDTIME_HTTP_PORT", "many")
    found = place.examined()
    assert [(check.name, check.verdict) for check in found.checks] == [("configuration", Severity.FAILED)] * 3


def test_two_files_that_are_one_fail(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDTIME_REPLICA", str(place.path("warehouse.duckdb")))
    assert place.check("files").verdict is Severity.FAILED


SCHEDULE = '[[schedule]]\nname = "daily"\ncron = "0 7 * * *"\nreport = "sla"\nrecipients = ["env:TEAM_MAIL"]\n'


def test_a_schedule_that_is_well_says_when_it_comes_next(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.path("holdtime.toml").write_text(SCHEDULE)
    monkeypatch.setenv("HOLDTIME_SCHEDULES", str(place.path("schedules.sqlite")))
    monkeypatch.setenv("TEAM_MAIL", "json://127.0.0.1:9/hook")
    check = place.check("schedules", now=NOON)
    assert (check.verdict, check.found) == (Severity.OK, "1, the next is daily at 2026-02-04 07:00 (UTC)")
    assert not place.path("schedules.sqlite").exists()


def test_a_schedule_that_nobody_runs_or_whom_nobody_can_tell_fails(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.path("holdtime.toml").write_text(SCHEDULE)
    monkeypatch.setenv("HOLDTIME_SCHEDULES", str(place.path("schedules.sqlite")))
    monkeypatch.delenv("TEAM_MAIL", raising=False)
    with closing(Ledger(place.path("schedules.sqlite"))) as ledger:
        ledger.since("daily", "0 7 * * * in UTC", NOON - timedelta(days=1))
    found = [check for check in place.examined(now=NOON).checks if check.name == "schedules"]
    assert [check.verdict for check in found] == [Severity.FAILED] * 2
    assert "environment variable TEAM_MAIL, which is not set" in found[0].found
    assert found[1].found == "daily: has been due since 2026-02-03 07:00, and nobody runs it"
    assert "holdtime schedule" in found[1].do


def test_a_queue_that_is_named_and_that_no_event_names_is_a_note_with_what_is_meant(place: Place) -> None:
    assert not [check for check in place.examined().checks if check.name == "queues"]
    schedule = '[[schedule]]\nname = "daily"\ncron = "0 7 * * *"\nreport = "sla"\nfolder = "out"\n'
    place.path("holdtime.toml").write_text(
        f'[[queue]]\nname = "Support"\n{schedule}filters = {{queues = ["support", "nigth"]}}'
    )
    place.landed(a_call("ann").queued(at=NOON).answered(after=10))
    first, second = (check for check in place.examined().checks if check.name == "queues")
    assert first.verdict == second.verdict == Severity.NOTE
    assert first.found == "[[queue]]: no queue is called 'Support'; there is 'support', and names are exact"
    assert second.found == "schedule daily: no queue is called 'nigth'; there is 'support'"
    place.path("holdtime.toml").write_text('[[queue]]\nname = "support"\n')
    assert place.check("queues") == Check("queues", Severity.OK, "1 named in the configuration, none of them unknown")


@pytest.mark.parametrize("name", ["log.sqlite", "warehouse.duckdb", "replica.duckdb"])
def test_a_file_that_is_something_else_fails_and_stays(place: Place, name: str) -> None:
    place.path(name).write_bytes(b"somebody's diary " * 100)
    assert place.check(name.partition(".")[0]).verdict is Severity.FAILED
    assert place.path(name).read_bytes() == b"somebody's diary " * 100


def test_a_replica_of_another_schema_fails_with_both_versions(place: Place) -> None:
    db = open_writer(place.path("replica.duckdb"))
    db.execute("update warehouse set schema_version = 99")
    db.close()
    assert "schema version 99" in place.check("replica").found


def test_what_has_not_landed_fails_only_when_it_had_time_to(place: Place) -> None:
    place.logged(3)
    place.landed(a_call().queued(at=NOON).abandoned(after=3).events[0])
    soon, late = (
        place.check("lag", now=LATER + timedelta(seconds=9)),
        place.check("lag", now=LATER + timedelta(hours=1)),
    )
    assert (soon.verdict, soon.found[:9]) == (Severity.OK, "2 records")
    assert (late.verdict, late.found[:9]) == (Severity.FAILED, "2 records")
    assert "holdtime up" in late.do


def test_a_log_that_ends_before_the_warehouse_fails(place: Place) -> None:
    place.logged(1)
    place.landed(a_call().queued(at=NOON).abandoned(after=3))
    assert "ends at position 1, but the warehouse has landed up to 3" in place.check("lag").found


def test_a_log_without_a_replica_fails(place: Place) -> None:
    place.logged(1)
    assert place.check("replica").verdict is Severity.FAILED


def test_a_clock_that_was_set_back_fails(place: Place) -> None:
    place.landed(a_call().queued(at=NOON))
    assert place.check("clock").verdict is Severity.OK
    assert "the last landing said 2026-02-03 13:00:00" in place.check("clock", now=LATER - timedelta(hours=1)).found


def test_a_clock_that_is_behind_fails_and_one_event_from_the_future_does_not(place: Place) -> None:
    call = a_call().queued(at=NOON).answered(after=10).talked(10)
    future = a_call("bob").queued(at=NOON + timedelta(days=30))
    place.landed(call, future, received=NOON + timedelta(seconds=21))
    assert place.check("clock").verdict is Severity.OK
    place.path("warehouse.duckdb").unlink()
    place.landed(call, future, received=NOON - timedelta(seconds=60))
    check = place.check("clock")
    assert (check.verdict, "before they happened" in check.found) == (Severity.FAILED, True)


def test_what_was_rejected_is_a_note_and_what_was_stale_has_a_way_back(place: Place) -> None:
    place.landed(b"not json", b"[]")
    check = place.check("rejected")
    assert (check.verdict, check.found) == (Severity.NOTE, "1 no_event_id, 1 not_json")
    assert "stale" not in check.do


def test_what_is_known_to_be_missing_is_a_note_with_what_to_do(place: Place) -> None:
    place.landed(list(a_call().queued(at=NOON).answered(after=10))[1:], down(NOON, NOON + timedelta(minutes=30)))
    check = place.check("completeness")
    assert check.verdict is Severity.NOTE
    assert check.found == (
        "below the floor of 98.0 %: 2026-02-03 50.0 %; 1 contradictions; ingest was down for 30 min; "
        "1 of 1 days rest on webhooks alone"
    )
    assert check.do.startswith("set TELNYX_API_KEY; `holdtime reconcile --once --since 7d`")


def test_days_that_were_compared_with_telnyxs_lists_and_lack_nothing_are_well(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELNYX_API_KEY", "K")
    told = Event("room", "conference.created", NOON, {"conference_id": "room"})
    place.landed(told, read(NOON - timedelta(hours=1), NOON))
    assert place.check("completeness").verdict is Severity.OK
    check = place.check("reconciler")
    assert (check.verdict, check.found[-16:]) == (Severity.OK, "2026-02-03 12:00 UTC"[-16:])
    late = place.check("reconciler", now=NOON + timedelta(hours=7))
    assert (late.verdict, "source_not_read" in late.do) == (Severity.FAILED, True)


def test_where_there_is_a_key_and_nothing_was_ever_read_it_is_said(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELNYX_API_KEY", "K")
    place.landed(a_call().queued(at=NOON))
    assert place.check("reconciler").verdict is Severity.NOTE


def down(start: datetime, end: datetime) -> Event:
    return Event("down", "reconciler.ingest.down", start, {"start": start.isoformat(), "end": end.isoformat()})


def read(start: datetime, end: datetime) -> Event:
    said = {"source": "webhook_deliveries", "start": start.isoformat(), "end": end.isoformat()}
    return Event("window", "reconciler.window.completed", start, said)


def test_an_id_that_came_with_two_contents_is_a_note(place: Place) -> None:
    place.landed(a_call().queued(at=NOON))
    assert place.check("contradictions").verdict is Severity.OK
    place.path("warehouse.duckdb").unlink()
    (told,) = a_call().queued(at=NOON)
    place.landed(told, told.saying(queue="another"))
    check = place.check("contradictions")
    assert (check.verdict, check.found[:8]) == (Severity.NOTE, "1 events")


def test_a_server_that_answers_is_named_and_somebody_else_too(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(b'{"lag_events": 17}') as port:
        monkeypatch.setenv("HOLDTIME_HTTP_PORT", str(port))
        assert "17 records behind" in place.check("server").found
        monkeypatch.setenv("HOLDTIME_ADMIN_PORT", str(port))
        monkeypatch.setenv("HOLDTIME_HTTP_PORT", "1")
        assert "17 records behind" in place.check("server").found, "where the pages are, if they are elsewhere"
        monkeypatch.delenv("HOLDTIME_ADMIN_PORT")
    with answering(b"<html>") as port:
        monkeypatch.setenv("HOLDTIME_HTTP_PORT", str(port))
        check = place.check("server")
    assert (check.verdict, "something else answers" in check.found) == (Severity.NOTE, True)


def test_a_server_that_does_not_land_answers_too(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(json.dumps({"lag_events": None, "deliveries": deliveries()}).encode()) as port:
        monkeypatch.setenv("HOLDTIME_HTTP_PORT", str(port))
        assert place.check("server").found == f"answers at http://127.0.0.1:{port}"
        assert place.check("deliveries").verdict is Severity.OK


def deliveries(
    *, accepted: int = 0, refused: int = 0, timely: int | None = None, lately: int | None = None
) -> dict[str, object]:
    """What `/status` says of deliveries; unless told otherwise, the refused said a time of now and came last."""
    return {
        "since": "2026-02-03T12:34:56.789+00:00",
        "accepted": accepted,
        "last_accepted_at": "2026-02-03T13:14:15+00:00" if accepted else None,
        "authentic": accepted,
        "refused": refused,
        "last_refused_at": "2026-02-03T14:14:15+00:00" if refused else None,
        "refused_timely": refused if timely is None else timely,
        "refused_since_authentic": refused if lately is None else lately,
    }


@pytest.mark.parametrize(
    ("came", "verdict", "found"),
    [
        (deliveries(), Severity.OK, "0 accepted since 2026-02-03 12:34 UTC, none refused"),
        (deliveries(accepted=5_000), Severity.OK, "5,000 accepted since 2026-02-03 12:34 UTC, none refused"),
        (
            deliveries(refused=384),
            Severity.FAILED,
            "384 deliveries were refused since 2026-02-03 12:34 UTC, none accepted",
        ),
        (deliveries(accepted=1, refused=384, lately=0), Severity.FAILED, "1 accepted"),
        (deliveries(refused=3), Severity.NOTE, "3 refused that none of our keys signed"),
        (
            deliveries(refused=384, timely=4, lately=4),
            Severity.NOTE,
            "384 refused",
        ),  # recorded long ago, and sent again
        (deliveries(accepted=5_000, refused=10**6, lately=2), Severity.NOTE, "1,000,000 refused"),
        (
            deliveries(accepted=5_000, refused=384),
            Severity.NOTE,
            "since the last that was signed by our key, accepted at",
        ),
    ],
)
def test_many_refusals_are_a_fault_only_where_hardly_anything_was_accepted(
    place: Place, monkeypatch: pytest.MonkeyPatch, came: dict[str, object], verdict: Severity, found: str
) -> None:
    with answering(json.dumps({"lag_events": 0, "deliveries": came}).encode()) as port:
        monkeypatch.setenv("HOLDTIME_HTTP_PORT", str(port))
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        check = place.check("deliveries")
    assert check.verdict is verdict
    assert found in check.found
    assert ("is TELNYX_PUBLIC_KEY this account's?" in check.do) == ("deliveries were refused" in check.found)


@pytest.mark.parametrize("came", [{"x": 1}, [1], 7, {"accepted": "many"}, deliveries() | {"since": 7}])
def test_a_server_that_says_other_things_of_deliveries_is_somebody_else(
    place: Place, monkeypatch: pytest.MonkeyPatch, came: object
) -> None:
    with answering(json.dumps({"lag_events": 0, "deliveries": came}).encode()) as port:
        monkeypatch.setenv("HOLDTIME_HTTP_PORT", str(port))
        assert "something else answers" in place.check("server").found


def an_open_place(place: Place) -> Examination:
    place.landed(
        *(a_call(f"w{n}").queued(at=NOON + timedelta(minutes=n)) for n in range(3)),
        a_call("u").queued(at=NOON).dequeued("spirited away", after=5),
        a_conference("open").created().joined("y", 300),
        a_conference("over", start=NOON + timedelta(hours=1)).created().joined("x", 1).left("x", 2).ended(3),
        now=NOON + timedelta(hours=2),
        received=NOON + timedelta(hours=2),
    )
    return place.examined(now=NOON + timedelta(hours=2), most=2)


def test_open_work_is_counted_and_the_oldest_named_with_what_was_heard_last(place: Place) -> None:
    waiting, unknown, stays, conferences = an_open_place(place).open_work
    assert [(kind.name, kind.count) for kind in (waiting, unknown, stays, conferences)] == [
        ("waiting", 3),
        ("unknown", 1),
        ("unclosed stays", 1),
        ("conferences in progress", 1),
    ]
    first, second = waiting.oldest
    assert (first.id, first.where, first.call_session_id, first.since) == ("w0-00", "support", "session-of-w0", NOON)
    assert (first.last_event, first.last_heard_at) == ("call.enqueued", NOON)
    assert (second.id, second.last_event) == ("w1-00", "call.enqueued")
    assert conferences.oldest[0].id == "open"
    assert stays.oldest[0].where == "open"


def test_open_work_is_no_failure(place: Place) -> None:
    assert not an_open_place(place).failed


def test_findings_are_told_to_machines_with_ages(place: Place) -> None:
    told = json.loads(findings.as_json(an_open_place(place)))
    assert told["ok"] is True
    assert told["open_work"]["waiting"]["count"] == 3
    assert told["open_work"]["waiting"]["oldest"][0]["age_ms"] == 7_200_000
    assert all(kind["do"] for kind in told["open_work"].values())
    assert {check["verdict"] for check in told["checks"]} == {"ok", "note"}


def test_findings_are_told_to_people_and_texts_from_outside_cannot_drive_the_screen(place: Place) -> None:
    place.landed(a_call("a").queued(at=NOON, queue="\x1b[2J[red]\u202e"))
    console = Console(file=io.StringIO(), width=200, force_terminal=True, color_system="standard", _environ={})
    console.print(findings.renderable(place.examined(now=NOON + timedelta(hours=3))))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "\\x1b[2J[red]\\u202e" in shown
    assert "\x1b[2J" not in shown
    assert "3 h" in shown
    assert "call.enqueued, 3 h ago" in shown


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 4]))


@pytest.mark.parametrize(("name", "deep"), [("warehouse", False), ("replica", False), ("warehouse", True)])
def test_a_damaged_block_is_found_wherever_it_is(place: Place, name: str, *, deep: bool) -> None:
    place.landed(a_call().queued(at=NOON).answered(after=41).talked(300), received=LATER)
    file = place.path(f"{name}.duckdb")
    content, found = file.read_bytes(), 0
    for at in (20, 4_200, *range(3 * 4_096 + 600, 6 * 262_144, 262_144)):
        file.write_bytes(content)
        flip(file, at)
        examined = examine(place.path("holdtime.toml"), now=LATER, most=5, deep=deep)
        failed = {check.name for check in examined.checks if check.verdict is Severity.FAILED}
        assert failed in ({name}, set())
        found += name in failed
    assert found > 2


def test_a_read_of_everything_says_what_it_reads(place: Place) -> None:
    place.landed(a_call().queued(at=NOON).answered(after=41).talked(300), received=LATER)
    read: list[str] = []
    examined = examine(place.path("holdtime.toml"), now=LATER, most=5, deep=True, on_progress=read.append)
    assert not examined.failed
    assert read.count("stored_events.body") == 2, "of the warehouse, and of the replica"
    assert next(check.found for check in examined.checks if check.name == "warehouse").endswith("every value read")


@pytest.mark.parametrize("name", ["warehouse.duckdb", "replica.duckdb"])
@pytest.mark.parametrize("length", [0, 3, 4_096, 20_000])
def test_a_file_of_which_most_is_missing_is_a_failed_check_and_no_crash(place: Place, name: str, length: int) -> None:
    place.landed(a_call().queued(at=NOON).answered(after=41).talked(300), received=LATER)
    os.truncate(place.path(name), length)
    assert place.examined().failed


def test_files_that_were_set_aside_are_named(place: Place) -> None:
    place.landed(a_call().queued(at=NOON))
    place.path("warehouse.duckdb.damaged-20260302T120000Z").write_bytes(b"x")
    assert "warehouse.duckdb.damaged-20260302T120000Z" in place.check("set aside").found


@pytest.mark.parametrize(
    "holds",
    [
        "import duckdb, sys; db = duckdb.connect(sys.argv[1], read_only=True)",
        "import duckdb, sys; db = duckdb.connect(sys.argv[1])",
    ],
)
def test_another_program_that_holds_the_warehouse_is_named(place: Place, holds: str) -> None:
    place.landed(a_call().queued(at=NOON))
    script = f"{holds}; print(1, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(place.path("warehouse.duckdb"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"1\n"
        found = place.check("warehouse")
    assert found.verdict is Severity.FAILED
    assert f"process {holder.pid} (python" in found.found
    assert "close it there" in found.do
