"""Runs against real servers, a real replica and a real ledger, by a clock that is told what time it is."""

from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from eventlog.log import LogExtent
from holdtime.config.schedules import context_of
from holdtime.config.settings import (
    Configuration,
    Environment,
    Settings,
)
from processors.landing.landing import Landing
from reconciler.seen_events import ReplicaEvents
from reports.errors import SourceError
from schedules import (
    compose,
    delivery,
    render_process,
)
from schedules.compose import MessageRequest
from schedules.content import Message
from schedules.context import Context
from schedules.dispatch import Dispatcher, Waits
from schedules.ledger import Ledger
from schedules.record import (
    DeliveryState,
    RunId,
    RunKind,
    RunState,
)
from schedules.render_process import ChildDiedError
from schedules.run import CRASHED, RunPerformer
from schedules.runner import MAX_UNDER_WAY, Runner
from schedules.schedule import Schedule
from schedules.status import statuses
from tests.support.builders import (
    NOON,
    a_batch,
    a_call,
    bodies,
)
from tests.support.post import (
    GONE,
    a_free_port,
    a_mail_server,
    a_web_server,
)
from tests.support.waiting import until
from warehouse.database import open_writer
from warehouse.replica import publish

DUE = datetime(2026, 2, 4, 5, tzinfo=UTC)
"""Seven in the morning in Athens, on the day after NOON."""

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The replica of a center in which two callers were answered, and one gave up, on the day of NOON."""
    folder = tmp_path_factory.mktemp("center")
    db = open_writer(folder / "warehouse.duckdb")
    calls = [
        a_call("ann").queued(at=NOON).answered(after=10).talked(60),
        a_call("bob").queued(at=NOON).answered(after=30).talked(60),
        a_call("cat").queued(at=NOON).abandoned(after=50),
    ]
    Landing(db).land(a_batch(bodies(*calls), received=NOON), NOON)
    publish(db, folder / "warehouse.duckdb", folder / "replica.duckdb")
    db.close()
    return folder / "replica.duckdb"


@dataclass
class Place:
    """A folder with a ledger, and a clock."""

    folder: Path
    replica: Path
    now: datetime = DUE + timedelta(seconds=1)
    log_end: dict[int, int] | None = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return self.folder / "schedules.sqlite"

    def context(self, *schedules: Schedule) -> Context:
        environment = Environment.model_validate({"HOLDTIME_REPLICA": self.replica, "HOLDTIME_SCHEDULES": self.path})
        configuration = Configuration(timezone="Europe/Athens", schedule=schedules)
        return context_of(Settings(environment=environment, configuration=configuration))

    def runner(self, *schedules: Schedule, known: datetime | None = None) -> Runner:
        """A process that runs the schedules, which have been known for some time."""
        ledger = Ledger(self.path)
        for each in schedules:
            ledger.since(each.name, str(each.times("Europe/Athens")), known or self.now - timedelta(hours=1))
        waits = Waits(look_s=0.02, retry_first_s=0.02, retry_most_s=0.05)
        sending = Dispatcher(
            self.context(*schedules), ledger, clock=lambda: self.now, waits=waits, environ={}, send=delivery.send
        )
        return Runner(RunPerformer(sending, lambda: None if self.log_end is None else LogExtent(self.log_end, 1)))

    def run(self, *schedules: Schedule, known: datetime | None = None) -> Runner:
        """A process that does all that is due, and then ends."""
        runner = self.runner(*schedules, known=known)
        runner._resume()
        runner.begin_due()
        runner.join()
        runner.runs.dispatcher.ledger.close()
        return runner

    def came_to(
        self, due: datetime = DUE, kind: RunKind = RunKind.CRON
    ) -> tuple[RunState | None, dict[str, DeliveryState]]:
        with Ledger.reading(self.path) as ledger:
            run = ledger.run(RunId("daily", kind, due))
            return None if run is None else run.state, {
                each.label: each.state for each in ledger.deliveries(RunId("daily", kind, due))
            }


@pytest.fixture
def place(tmp_path: Path, replica: Path) -> Place:
    return Place(tmp_path, replica)


def a_schedule(*recipients: str, **changed: object) -> Schedule:
    told: dict[str, object] = {
        "name": "daily",
        "cron": "0 7 * * *",
        "report": "sla",
        "recipients": recipients,
        "formats": ["csv"],
        "patience_minutes": 30,
        "retry_minutes": 1,
    }
    return Schedule.model_validate({**told, **changed})


def test_a_summary_says_the_headline_and_all_that_it_rests_on(place: Place) -> None:
    with a_mail_server() as server:
        place.run(a_schedule(server.url("ann@example.com"), formats=["csv", "html", "json", "table"]))
    assert place.came_to() == (RunState.DONE, {"recipients 1 (mailto)": DeliveryState.SENT})
    (mail,) = server.came
    assert mail["Subject"] == "daily: Service levels, yesterday (2026-02-03 00:00 to 2026-02-04 00:00)"
    page = mail.get_body(("plain",))
    assert page is not None
    text = page.get_content()
    for line in (
        "Offered: 3",
        "Service level: 33.3 %",
        "Longest wait: 50 s",
        "Period: complete",
        "Completeness: 100.0 % of what must have been sent is known",
        "Complete: all that was received before the end of the period has landed.",
        "Period: from 2026-02-03 00:00 up to, not including, 2026-02-04 00:00, in the time zone Europe/Athens.",
        "up to log position 0:",
        "Definitions: facts ",
        "tz Europe/Athens (holdtime.toml)",
    ):
        assert line in text
    names = [each.get_filename() for each in mail.iter_attachments()]
    assert names == [f"daily-2026-02-04T0700.{ending}" for ending in ("csv", "html", "json", "txt")]


def test_every_format_that_there_is_can_be_sent(place: Place) -> None:
    from reports.formats import FORMATS

    place.run(a_schedule(folder=str(place.folder / "out"), formats=list(FORMATS)))
    assert place.came_to() == (RunState.DONE, {"folder": DeliveryState.SENT})
    written = [path for path in (place.folder / "out").iterdir() if "summary" not in path.name]
    assert len(written) == len(FORMATS)
    assert all(path.stat().st_size for path in written)


def test_a_run_is_sent_once_however_often_it_is_looked_for(place: Place) -> None:
    with a_mail_server() as server:
        schedule = a_schedule(server.url("ann@example.com"))
        for _ in range(3):
            place.run(schedule)
            place.now += timedelta(hours=1)
        assert len(server.came) == 1
        place.now = DUE + DAY
        place.run(schedule)
    assert len(server.came) == 2
    assert len({mail["Message-ID"] for mail in server.came}) == 2


def test_what_is_due_at_the_same_time_is_all_sent(place: Place) -> None:
    with a_web_server() as server:
        place.run(*(a_schedule(server.url(), name=f"daily-{n}") for n in range(6)))
    assert sorted(came["title"].partition(":")[0] for came in server.came) == [f"daily-{n}" for n in range(6)]


def test_the_latest_run_that_was_missed_is_made_up_for_and_no_earlier_one(place: Place) -> None:
    with a_web_server() as server:
        schedule = a_schedule(server.url())
        place.run(schedule)
        place.now = DUE + 5 * DAY + timedelta(hours=3)
        place.run(schedule)
        place.run(schedule)
    assert [came["title"].partition("(")[2] for came in server.came] == [
        "2026-02-03 00:00 to 2026-02-04 00:00)",
        "2026-02-08 00:00 to 2026-02-09 00:00)",  # the yesterday of the run, not of the moment it was made up for
    ]


def test_a_schedule_that_is_new_or_has_new_times_makes_up_for_nothing(place: Place) -> None:
    place.now = DUE + timedelta(hours=5)
    with a_web_server() as server:
        place.run(a_schedule(server.url()), known=place.now)
        place.run(a_schedule(server.url(), cron="0 9 * * *"), known=place.now)
        assert server.came == []
        place.now += DAY
        place.run(a_schedule(server.url(), cron="0 9 * * *"))
    assert len(server.came) == 1


JUMPS = pytest.mark.parametrize("days", [-40 * 365, -400, -1, 1, 400, 500])


@JUMPS
@pytest.mark.parametrize("others", [True, False], ids=["in other processes", "in one process"])
def test_a_clock_that_jumps_makes_up_at_most_one_run_and_none_is_sent_twice_or_left_out_afterwards(
    place: Place, days: int, others: bool
) -> None:
    with a_web_server() as server:
        schedule = a_schedule(server.url())
        runner = place.runner(schedule)
        jumped = [DUE + n * timedelta(hours=1) + timedelta(days=days) for n in (1, 2)]
        for now in (DUE, *jumped, DUE + timedelta(hours=3), DUE + 3 * DAY, DUE + 4 * DAY):
            place.now = now
            if others:
                place.run(schedule)
            else:
                runner.begin_due()
                runner.join()
        runner.runs.dispatcher.ledger.close()
    came = [came["title"].partition("(")[2] for came in server.came]
    assert len(set(came)) == len(came)
    honest = [f"2026-02-{day:02} 00:00 to 2026-02-{day + 1:02} 00:00)" for day in (3, 6, 7)]
    assert [each for each in came if each in honest] == honest
    assert len(came) <= len(honest) + 1


def test_a_schedule_that_a_clock_ahead_saw_first_runs_once_the_clock_is_right(place: Place) -> None:
    with a_web_server() as server:
        schedule = a_schedule(server.url())
        place.run(schedule, known=DUE + 400 * DAY)
        assert server.came == []
        place.now = DUE + DAY
        place.run(schedule, known=DUE + 400 * DAY)
    assert len(server.came) == 1


def test_what_is_refused_is_sent_again_until_it_is_taken(place: Place) -> None:
    with a_mail_server("451 not now", "421 nor now") as mail, a_web_server(503, 500, 429) as web:
        place.run(a_schedule(mail.url("ann@example.com"), web.url()))
    assert (len(mail.came), len(web.came)) == (3, 4)
    assert place.came_to()[0] is RunState.DONE
    assert len({str(each["Message-ID"]) for each in mail.came}) == 1
    assert len({headers["Idempotency-Key"] for headers in web.headers}) == 1


def test_what_may_have_arrived_is_not_sent_again_and_the_others_are_told(place: Place) -> None:
    with a_mail_server() as mail, a_web_server(GONE) as web:
        place.run(a_schedule(mail.url("ann@example.com"), web.url()))
        place.run(a_schedule(mail.url("ann@example.com"), web.url()))
    assert len(web.came) == 1
    assert place.came_to() == (
        RunState.FAILED,
        {"recipients 1 (mailto)": DeliveryState.SENT, "recipients 2 (json)": DeliveryState.DOUBTFUL},
    )
    _, notice = mail.came
    assert notice["Subject"] == "daily: could not be sent to everybody"
    page = notice.get_body(("plain",))
    assert page is not None
    assert "recipients 2 (json): doubtful; the connection broke" in page.get_content()
    (standing,) = statuses(place.context(a_schedule(web.url())), place.now)
    (trouble,) = standing.troubles()
    assert trouble.startswith("daily, 2026-02-04 07:00: may not have been sent to recipients 2 (json): the connection")


def test_what_fails_for_too_long_is_given_up_and_told_to_those_who_are_there_for_it(place: Place) -> None:
    nowhere = f"json://127.0.0.1:{a_free_port()}/"
    with a_web_server() as ops:
        schedule = a_schedule(nowhere, on_failure=[ops.url()], retry_minutes=0.001)
        place.run(schedule)
        place.run(schedule)
    assert place.came_to() == (RunState.FAILED, {"recipients 1 (json)": DeliveryState.FAILED})
    (told,) = ops.came
    assert "recipients 1 (json): failed; nothing listens there." in told["message"]
    assert place.came_to(kind=RunKind.NOTICE) == (RunState.DONE, {"on_failure 1 (json)": DeliveryState.SENT})


def test_one_who_cannot_be_reached_holds_up_nobody_else(place: Place) -> None:
    with a_web_server(*[500] * 1000) as ill, a_web_server() as well:
        schedule = a_schedule(ill.url(), well.url())
        runner = place.runner(schedule)
        runner.begin_due()
        until(lambda: len(well.came) == 1 and len(ill.came) > 2, lambda: (well.came, ill.came))
        stopped(runner)
    state, deliveries = place.came_to()
    assert state is RunState.SENDING
    assert deliveries == {"recipients 1 (json)": DeliveryState.PENDING, "recipients 2 (json)": DeliveryState.SENT}


def test_a_stop_leaves_the_rest_to_the_next_process_with_the_same_words(place: Place) -> None:
    with a_web_server(*[500] * 3) as server:
        schedule = a_schedule(server.url())
        runner = place.runner(schedule)
        runner.begin_due()
        until(lambda: server.came, lambda: "nothing sent")
        stopped(runner)
        place.now += timedelta(minutes=5)  # "landed 5 min ago" would be other words
        place.run(schedule)
    assert place.came_to()[0] is RunState.DONE
    assert len({came["message"] for came in server.came}) == 1


def test_a_crash_between_sending_and_recording_is_a_doubt_and_no_second_sending(place: Place) -> None:
    with a_web_server() as crashed, a_web_server() as other:
        schedule = a_schedule(crashed.url(), other.url())
        with closing(Ledger(place.path)) as ledger:  # what the process that is gone had written down
            run = RunId("daily", RunKind.CRON, DUE)
            runner = place.runner(schedule)
            ledger.begin(run, place.now)
            to = [(each.key, each.label) for each in runner.runs.dispatcher.reachable(schedule)]
            ledger.decide(run, _words(place, schedule), to, place.now)
            ledger.attempt(run, to[0][0], place.now)
            runner.runs.dispatcher.ledger.close()
        place.run(schedule)
        place.run(schedule)
    assert crashed.came == []
    assert [came["title"].partition(" (")[0] for came in other.came] == [
        "daily: Service levels, yesterday",
        "daily: could not be sent to everybody",
    ]
    assert CRASHED in other.came[1]["message"]
    assert place.came_to()[1] == {
        "recipients 1 (json)": DeliveryState.DOUBTFUL,
        "recipients 2 (json)": DeliveryState.SENT,
    }


def _words(place: Place, schedule: Schedule) -> bytes:
    wanted = MessageRequest(place.context(schedule), schedule, DUE, place.now, LogExtent({}, 1))
    return compose.message_of(wanted).packed()


def test_a_run_waits_until_its_period_has_landed(place: Place) -> None:
    place.log_end = {0: 1_000}
    with a_web_server() as server:
        runner = place.runner(a_schedule(server.url()))
        runner.begin_due()
        (thread,) = runner._active.values()
        thread.join(0.3)
        assert server.came == []
        assert place.came_to() == (RunState.WAITING, {})
        place.log_end = {0: 1}
        runner.join()
        runner.runs.dispatcher.ledger.close()
    (came,) = server.came
    assert "NOT COMPLETE" not in came["title"]


def test_runs_that_are_due_while_one_waits_are_made_too_and_say_that_they_waited(place: Place) -> None:
    place.log_end = {0: 1_000}
    hour = timedelta(hours=1)
    with a_web_server() as server, capture_logs() as lines:
        runner = place.runner(a_schedule(server.url(), cron="0 * * * *", patience_minutes=600))

        def waits() -> int:
            return [line["event"] for line in lines].count("waiting_for_period")

        for number in (1, 2, 3):
            runner.begin_due()
            until(lambda wanted=number: waits() == wanted, waits)  # type: ignore[misc]
            place.now += hour
        assert server.came == []
        place.log_end = {0: 1}
        runner.join()
        runner.runs.dispatcher.ledger.close()
    assert all(place.came_to(DUE + n * hour)[0] is RunState.DONE for n in range(3))
    assert len(server.came) == 3
    for came in server.came:
        assert " for its period: 989 records of the log are not in the replica yet." in came["message"]
        assert "missed" not in came["message"]
    assert any("It was due at 2026-02-04 08:00 and made 2 h later." in came["message"] for came in server.came)


def test_one_who_cannot_be_reached_keeps_no_later_run_from_the_others(place: Place) -> None:
    with a_web_server(*[500] * 1000) as ill, a_web_server() as well:
        runner = place.runner(a_schedule(ill.url(), well.url(), cron="0 * * * *"))
        for number in (1, 2, 3):
            runner.begin_due()
            until(lambda wanted=number: len(well.came) == wanted, lambda: well.came)  # type: ignore[misc]
            place.now += timedelta(hours=1)
        stopped(runner)


def test_runs_that_nobody_began_are_named_by_the_next_one(place: Place) -> None:
    with a_web_server() as server:
        schedule = a_schedule(server.url())
        place.run(schedule)
        for days in (2, 6, 7):
            place.now = DUE + days * DAY
            place.run(schedule)
        standing = statuses(place.context(schedule), place.now)[0]
    first, one, three, none = (came["message"] for came in server.came)
    assert "missed" not in first + none
    assert "The run before it, of 2026-02-05 07:00, was missed" in one
    assert "3 runs before it were missed, those from 2026-02-07 07:00 to 2026-02-09 07:00" in three
    assert standing.missed is None
    place.now = DUE + 9 * DAY
    with a_web_server() as server:
        place.run(a_schedule(server.url()))
        standing = statuses(place.context(a_schedule(server.url())), place.now)[0]
    assert standing.missed is not None
    assert standing.missed.count == 1


def test_of_too_many_under_way_the_next_is_missed_and_named(place: Place) -> None:
    place.log_end = {0: 1_000}
    with a_web_server() as server:
        runner = place.runner(a_schedule(server.url(), cron="0 * * * *", patience_minutes=6_000))
        for _ in range(MAX_UNDER_WAY + 3):
            runner.begin_due()
            place.now += timedelta(hours=1)
        assert len(runner._active) == MAX_UNDER_WAY
        place.log_end = {0: 1}
        runner.join()
        runner.begin_due()
        runner.join()
        runner.runs.dispatcher.ledger.close()
    assert len(server.came) == MAX_UNDER_WAY + 1
    assert "3 runs before it were missed" in server.came[-1]["message"]


def test_what_waits_in_this_process_and_what_reads_the_replica_beside_it_are_in_nobodys_way(place: Place) -> None:
    known = ReplicaEvents(place.replica)
    assert known.open_conferences(NOON) == []  # the replica is open now, with the reconciler's settings
    with a_web_server() as server:
        place.run(a_schedule(server.url(), patience_minutes=0))
        assert known.open_conferences(NOON) == []
    known.close()
    (came,) = server.came
    assert "NOT COMPLETE" not in came["title"]


@pytest.mark.parametrize("damage", ["absent", "damaged", "empty"])
def test_a_replica_that_cannot_be_read_is_one_line(place: Place, damage: str) -> None:
    sound, place.replica = place.replica.read_bytes(), place.folder / "broken.duckdb"
    if damage != "absent":
        place.replica.write_bytes(b"" if damage == "empty" else sound[:40_000])
    with a_web_server() as server:
        place.run(a_schedule(server.url(), patience_minutes=0))
    assert place.came_to() == (RunState.FAILED, {})
    (came,) = server.came
    (line,) = [line for line in came["message"].splitlines() if "broken.duckdb" in line]
    assert {"absent": "is not there yet", "damaged": "is damaged", "empty": "is damaged"}[damage] in line


def test_when_patience_is_over_it_is_sent_and_says_that_it_is_not_complete(place: Place) -> None:
    place.log_end = {0: 1_000}
    with a_web_server() as server:
        runner = place.runner(a_schedule(server.url(), patience_minutes=30))
        runner.begin_due()
        place.now += timedelta(minutes=31)
        runner.join()
        runner.runs.dispatcher.ledger.close()
    (came,) = server.came
    assert came["title"].endswith(", NOT COMPLETE")
    assert (
        "NOT COMPLETE: 989 records of the log are not in the replica yet. These numbers may change." in came["message"]
    )


def test_a_summary_of_a_queue_that_nobody_heard_of_is_sent_and_says_so(place: Place) -> None:
    with a_web_server() as server:
        place.run(a_schedule(server.url(), filters={"queues": ["support", "Support"]}))
    (came,) = server.came
    assert ": Service levels, queues support, Support, yesterday (" in came["title"]
    assert came["title"].endswith(", UNKNOWN QUEUE")
    assert "Not known: no queue is called 'Support'; there is 'support', and names are exact." in came["message"]


def test_a_run_that_cannot_be_made_fails_and_is_told(place: Place) -> None:
    place.replica = place.folder / "nothing.duckdb"
    with a_web_server() as server:
        place.run(a_schedule(server.url(), patience_minutes=0))
    assert place.came_to() == (RunState.FAILED, {})
    (came,) = server.came
    assert "nothing.duckdb is not there yet" in came["message"]


def test_a_run_whose_making_fails_is_tried_again(place: Place) -> None:
    with a_web_server() as server:
        runner = place.runner(a_schedule(server.url()))
        made, tried = runner.runs.compose, []

        def fragile(asked: MessageRequest) -> Message:
            tried.append(asked)
            if len(tried) == 1:
                raise ChildDiedError("killed for its memory")
            return made(asked)

        runner.runs.compose = fragile
        runner.begin_due()
        runner.join()
        runner.runs.dispatcher.ledger.close()
    assert (len(tried), len(server.came)) == (2, 1)
    assert place.came_to()[0] is RunState.DONE


def test_a_message_that_another_process_makes_is_the_same(place: Place) -> None:
    schedule = a_schedule(folder=str(place.folder / "out"))
    asked = MessageRequest(place.context(schedule), schedule, DUE, place.now, LogExtent({0: 11}, 1), ("It waited.",))
    assert render_process.message_of(asked) == compose.message_of(asked)
    place.replica = place.folder / "nothing.duckdb"
    with pytest.raises(SourceError, match="is not there yet"):
        render_process.message_of(MessageRequest(place.context(schedule), schedule, DUE, place.now, None))


def test_a_folder_that_cannot_be_written_is_tried_again_and_then_told(place: Place) -> None:
    (place.folder / "out").touch()
    with a_web_server() as server:
        place.run(a_schedule(server.url(), folder=str(place.folder / "out"), retry_minutes=0.001))
    assert place.came_to()[1] == {"folder": DeliveryState.FAILED, "recipients 1 (json)": DeliveryState.SENT}
    assert "folder: failed; the folder cannot be written: Not a directory." in server.came[-1]["message"]


def test_who_is_not_configured_any_more_gets_nothing(place: Place) -> None:
    with a_web_server(*[500] * 1000) as server:
        runner = place.runner(a_schedule(server.url(), server.url("other")))
        runner.begin_due()
        until(lambda: len(server.came) > 2, lambda: server.came)
        stopped(runner)
        server.answers.clear()
        server.came.clear()
        place.run(a_schedule(server.url("other")))
        titles = [came["title"] for came in server.came]
    assert titles == [titles[0], "daily: could not be sent to everybody"]
    assert sorted(place.came_to()[1].values()) == [DeliveryState.FAILED, DeliveryState.SENT]


def test_a_run_whose_schedule_is_gone_ends(place: Place) -> None:
    place.log_end = {0: 1_000}
    runner = place.runner(a_schedule(folder=str(place.folder / "out")))
    runner.begin_due()
    stopped(runner)
    assert place.came_to() == (RunState.WAITING, {})
    place.log_end = {}
    place.run(a_schedule(folder=str(place.folder / "other"), name="another"))
    assert place.came_to() == (RunState.FAILED, {})
    assert not (place.folder / "out").exists()


def test_what_nobody_runs_is_overdue(place: Place) -> None:
    schedule = a_schedule(folder=str(place.folder / "out"))
    place.runner(schedule, known=DUE - DAY / 2).runs.dispatcher.ledger.close()
    context = place.context(schedule)
    assert [*statuses(context, DUE + timedelta(minutes=1))[0].troubles()] == []
    (trouble,) = statuses(context, DUE + timedelta(minutes=5))[0].troubles()
    assert trouble == "daily: has been due since 2026-02-04 07:00, and nobody runs it"


def stopped(runner: Runner) -> None:
    """End the process as SIGTERM does."""
    runner.runs.dispatcher.stop.set()
    runner.join()
    runner.runs.dispatcher.drain(timedelta(seconds=5))
    runner.runs.dispatcher.ledger.close()
