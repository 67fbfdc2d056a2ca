"""Summaries as separate processes send them to real servers; `kill -9` between sending and recording included."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import SigningKey

from processors.landing.landing import Landing
from schedules.ledger import Ledger
from schedules.record import RunKind, ScheduledRun
from tests.support.builders import (
    a_batch,
    a_call,
    bodies,
)
from tests.support.post import (
    MailServer,
    WebServer,
    a_free_port,
    a_mail_server,
    a_web_server,
)
from tests.support.waiting import PATIENCE_S, until
from warehouse.database import open_writer
from warehouse.replica import publish

SECRET = "hunter2-not-to-be-seen"
KEY = base64.b64encode(bytes(SigningKey(bytes(range(32))).verify_key)).decode()


@dataclass
class Center:
    """A folder with a replica and a configuration, and the processes that were started in it."""

    folder: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    def configure(self, *recipients: str, **more: object) -> None:
        """A schedule that is due every hour, and has been known for long: so one run is due at once."""
        lines = {"name": "daily", "cron": "0 * * * *", "report": "sla", "formats": ["csv"], **more}
        told = [f"{name} = {json.dumps(value)}" for name, value in lines.items()]
        text = "\n".join(["[[schedule]]", *told, f"recipients = {json.dumps(recipients)}", ""])
        (self.folder / "holdtime.toml").write_text(text)
        with closing(Ledger(self.folder / "data" / "schedules.sqlite")) as ledger:
            ledger.since("daily", "0 * * * * in UTC", datetime.now(UTC) - timedelta(days=3))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "COLUMNS": "300", **self.environment}
        self.processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "holdtime", *arguments],
                cwd=self.folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        return self.processes[-1]

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run a command to its end; nothing secret is in what it says."""
        return ended(self.start(*arguments))

    def states(self) -> tuple[str, list[tuple[str, int]]]:
        """How far the run is, and each delivery with its attempts, as they are written down just now."""
        with Ledger.reading(self.folder / "data" / "schedules.sqlite") as ledger:
            run = ledger.last("daily", RunKind.CRON)
            return (
                ("none", []) if run is None else (run.state, [(d.state, d.attempts) for d in ledger.deliveries(run.id)])
            )

    def status(self) -> Any:
        code, words = self.run("schedule", "--status", "--json")
        return code, json.loads(words)[0]


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    words, _ = process.communicate(timeout=PATIENCE_S)
    assert SECRET not in words
    return process.returncode, words


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, now = tmp_path_factory.mktemp("center"), datetime.now(UTC)
    db = open_writer(folder / "warehouse.duckdb")
    call = a_call().queued(at=now - timedelta(days=1)).answered(after=10).talked(60)
    Landing(db).land(a_batch(bodies(call), received=now), now)
    publish(db, folder / "warehouse.duckdb", folder / "replica.duckdb")
    db.close()
    return folder / "replica.duckdb"


@pytest.fixture
def center(tmp_path: Path, replica: Path) -> Iterator[Center]:
    found = Center(tmp_path, environment={"HOLDTIME_REPLICA": str(replica)})
    yield found
    for process in found.processes:
        process.kill()
        process.communicate()


@contextmanager
def a_server(kind: str) -> Iterator[MailServer | WebServer]:
    with a_mail_server() if kind == "mail" else a_web_server() as server:
        yield server


def url_of(server: MailServer | WebServer) -> str:
    return server.url("ann@example.com") if isinstance(server, MailServer) else server.url(SECRET)


@pytest.mark.parametrize("kind", ["mail", "web"])
def test_killed_between_sending_and_recording_it_sends_nothing_twice_and_says_so(center: Center, kind: str) -> None:
    with a_server(kind) as server, a_web_server() as ops:
        center.configure(url_of(server), on_failure=[ops.url()])
        first = center.start("schedule")

        def kill() -> None:
            first.send_signal(signal.SIGKILL)
            first.wait(PATIENCE_S)  # it is gone before it has an answer

        if isinstance(server, MailServer):
            server.on_mail = kill
        else:
            server.on_post = kill
        assert ended(first)[0] == -signal.SIGKILL
        assert len(server.came) == 1

        again = center.start("schedule")
        until(lambda: center.states() == ("failed", [("doubtful", 1)]), center.states)
        again.send_signal(signal.SIGTERM)
        assert ended(again)[0] == 0
        assert len(server.came) == 1
        assert "it may or may not have been sent, and is not sent again" in ops.came[0]["message"]
        for path in (center.folder / "data").iterdir():
            assert SECRET.encode() not in path.read_bytes()
    if kind == "mail":
        return  # what is shown is the same for both
    code, status = center.status()
    assert code == 1
    (trouble,) = status["troubles"]
    assert "may not have been sent to recipients 1" in trouble
    assert "may not have been sent to recipients 1" in center.run("doctor")[1]


def test_killed_right_after_the_answer_it_sends_nothing_twice(center: Center) -> None:
    with a_web_server() as server:
        center.configure(server.url())
        first = center.start("schedule")
        server.after_answer = lambda: first.send_signal(signal.SIGKILL)
        assert ended(first)[0] == -signal.SIGKILL
        again = center.start("schedule")
        # Whether it had been recorded is a race; that it is settled without another sending is not.
        until(lambda: center.states()[0] in {"done", "failed"}, center.states)
        again.send_signal(signal.SIGTERM)
        ended(again)
    assert len([came for came in server.came if "not be sent" not in came["title"]]) == 1


def test_a_stop_waits_for_what_is_being_sent(center: Center) -> None:
    with a_web_server() as server:
        center.configure(server.url())
        process = center.start("schedule")

        def stop() -> None:
            process.send_signal(signal.SIGTERM)
            time.sleep(0.5)  # the answer comes well after the signal, and before the client loses patience

        server.on_post = stop
        assert ended(process)[0] == 0
        assert len(server.came) == 1
    assert center.states()[1] == [("sent", 1)]


def test_killed_before_anything_was_sent_it_is_sent_by_the_next_one_and_once(center: Center) -> None:
    with a_web_server() as server:
        port = server.port
    center.configure(f"json://127.0.0.1:{port}/")
    first = center.start("schedule")
    until(lambda: center.states() == ("sending", [("pending", 1)]), center.states)
    first.send_signal(signal.SIGKILL)
    ended(first)
    with a_web_server(at=port) as server:
        again = center.start("schedule")
        until(lambda: center.states()[0] == "done", center.states)
        again.send_signal(signal.SIGTERM)
        assert ended(again)[0] == 0
        assert len(server.came) == 1
    assert center.status()[0] == 0


def test_up_sends_summaries_too_and_another_process_does_not_beside_it(center: Center, tmp_path: Path) -> None:
    with a_web_server() as server:
        center.configure("env:HOOK", patience_minutes=0, folder="summaries")
        center.environment |= {"HOOK": server.url(SECRET), "HOLDTIME_HTTP_PORT": str(a_free_port())}
        center.environment |= {"TELNYX_PUBLIC_KEY": KEY, "HOLDTIME_REPLICA": str(tmp_path / "data" / "replica.duckdb")}
        up = center.start("up")
        until(lambda: bool(server.came), lambda: "nothing sent")
        code, words = center.run("schedule")
        assert code == 2
        assert f"process {up.pid} sends from" in words
        assert center.run("schedule", "--now", "daily")[0] == 0
        up.send_signal(signal.SIGTERM)
        assert ended(up)[0] == 0
    assert len(server.came) == 2
    assert {path.suffix for path in (tmp_path / "summaries").iterdir()} == {".csv", ".txt"}


def test_now_sends_one_and_exits_with_1_where_it_could_not(center: Center) -> None:
    with a_mail_server("554 no") as server:
        center.configure(server.url("ann@example.com"), retry_minutes=0)
        code, words = center.run("schedule", "--now", "daily")
        assert code == 1
        assert "recipients 1 (mailto): failed: the mail server answered 554" in words
        code, words = center.run("schedule", "--now", "daily")
        assert (code, len(server.came)) == (0, 2)
        assert "recipients 1 (mailto): sent" in words
        assert server.came[0]["Message-ID"] != server.came[1]["Message-ID"]  # somebody asked for two


def test_a_preview_shows_all_and_sends_and_makes_nothing(center: Center) -> None:
    with a_web_server() as server:
        center.configure(server.url(SECRET), folder="summaries", timezone="Asia/Kolkata", cron="30 7 * * *")
        before = sorted(center.folder.rglob("*"))
        code, words = center.run("schedule", "--preview")
        assert code == 0
        assert server.came == []
    assert sorted(center.folder.rglob("*")) == before
    for said in ("30 7 * * * in Asia/Kolkata", "07:30 (02:00 UTC): from", "recipients 1 (json)", "summaries/"):
        assert said in words
    for said in ("Subject: daily: Service levels, yesterday (", "Offered", "Attached: daily-", "Definitions: facts"):
        assert said in words


def test_beside_the_reconciler_a_run_is_sent_within_seconds(center: Center, tmp_path: Path) -> None:
    center.configure(report="queues", cron="* * * * *", folder="out", patience_minutes=5, **{"filters.period": "today"})
    (tmp_path / "data" / "schedules.sqlite").unlink()  # nothing to make up for: every run is in its minute
    web, api = a_free_port(), a_free_port()
    center.environment |= {
        "TELNYX_PUBLIC_KEY": KEY,
        "TELNYX_API_KEY": "KEY-simulated",
        "TELNYX_BASE_URL": f"http://127.0.0.1:{api}/v2",
        "HOLDTIME_HTTP_PORT": str(web),
        "HOLDTIME_REPLICA": str(tmp_path / "data" / "replica.duckdb"),
    }

    def reconciled() -> Any:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{web}/status", timeout=5) as answer:
                return json.load(answer)["reconciler"]
        except OSError:
            return None

    def last() -> ScheduledRun | None:
        with Ledger.reading(tmp_path / "data" / "schedules.sqlite") as ledger:
            return ledger.last("daily", RunKind.CRON)

    center.start("simulate", "--hours", "0.2", "--drops", "1", "--api", "--api-port", str(api))
    until(lambda: listens(api), lambda: "nothing listens")
    up = center.start("up")
    until(lambda: bool((reconciled() or {}).get("succeeded_at")), reconciled, patience_s=120)
    began = datetime.now(UTC)
    until(lambda: (run := last()) is not None and run.id.due > began, last, patience_s=90)
    run = last()
    assert run is not None
    until(lambda: center.states()[0] == "done", center.states, patience_s=20)
    with Ledger.reading(tmp_path / "data" / "schedules.sqlite") as ledger:
        (delivery,) = ledger.deliveries(run.id)
    assert delivery.at - run.id.due < timedelta(seconds=20)
    (text,) = (tmp_path / "out").glob(f"daily-{run.id.due:%Y-%m-%dT%H%M}*.txt")
    assert "Complete: all that was received before the end of the period has landed." in text.read_text()
    assert reconciled()["fault"] is None
    up.send_signal(signal.SIGTERM)
    code, words = ended(up)
    assert code == 0
    assert "period_not_complete" not in words
    assert "in this very process" not in words


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
