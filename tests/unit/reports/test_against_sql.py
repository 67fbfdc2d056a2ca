"""Every report over a simulated center against SQL of a few lines that knows nothing of the reports' measures."""

from collections.abc import Iterator
from typing import Any

import pytest

from reports.catalogue.registry import (
    REPORTS,
    completeness_of,
    run,
)
from reports.formats import EVERY, PICTURES, encoded, pictures
from reports.source import Source
from reports.tables.report import Report
from tests.support.builders import opened_warehouse
from tests.support.busy_center import AFTERWARDS, a_busy_center
from tests.support.requests import a_request
from warehouse.catalog import describe

TZ = "Asia/Kolkata"
LOCAL = "enqueued_at at time zone 'Asia/Kolkata'"
DAY = "timestamptz '2026-03-01 18:30:00+00'", "timestamptz '2026-03-03 18:30:00+00'"
PERIOD = {"from_": "2026-03-02", "to": "2026-03-04"}


@pytest.fixture(scope="module")
def source() -> Iterator[Source]:
    with a_busy_center() as found:
        yield found


def _report(source: Source, name: str, **options: Any) -> Report:
    return run(name, source, a_request(AFTERWARDS, tz=TZ, **{**PERIOD, **options}))


def _equal(source: Source, found: Any, names: str, query: str) -> None:
    """The named columns of a section's rows are what the query gives, row for row."""
    columns = names.split()
    rows = [tuple(row[name] for name in columns) for row in found if row]
    expected = source.db.execute(query).fetchall()
    assert expected
    assert rows == [
        tuple(pytest.approx(value) if isinstance(value, float) else value for value in row) for row in expected
    ]


def test_service_levels(source: Source) -> None:
    report = _report(source, "sla", interval="30m")
    _equal(
        source,
        [row for row in report.section("queue_intervals").rows() if row["offered"]],
        "queue interval_start service_level service_level_answered_only service_level_offered "
        "service_level_abandons_in_threshold_ignored service_level_abandons_in_threshold_met "
        "service_level_removed_in_threshold service_level_flow_outs_excluded abandonment_rate mean_wait_answered_ms",
        f"""
        with counted as (
            select queue, time_bucket(interval '30 minutes', {LOCAL}) at time zone '{TZ}' as start,
                count(*) filter (outcome <> 'waiting') as ended, count(*) filter (outcome = 'answered') as a,
                count(*) filter (outcome = 'answered' and wait_ms <= 20000) as a_in,
                count(*) filter (outcome = 'abandoned') as b,
                count(*) filter (outcome = 'abandoned' and wait_ms <= 20000) as b_in,
                count(*) filter (outcome = 'abandoned' and wait_ms < 5000) as short,
                count(*) filter (wait_ms <= 20000) as gone_in, avg(wait_ms) filter (outcome = 'answered') as asa
            from queue_visits group by all
        )
        select queue, start, a_in / (ended - short), a_in / a, a_in / ended, a_in / (ended - b_in),
            (a_in + b_in) / ended, gone_in / ended, a_in / (a + b - short), b / ended, asa
        from counted order by queue, start
        """,
    )


def test_queues(source: Source) -> None:
    _equal(
        source,
        _report(source, "queues").section("queues").rows(),
        "queue offered answered timed_out left failed_bridge answered_share mean_wait_ms longest_wait_ms",
        """
        select queue, count(*), sum((outcome = 'answered')::int), sum((outcome = 'timed_out')::int),
            sum((outcome = 'left')::int), sum((outcome = 'failed_bridge')::int),
            avg((outcome = 'answered')::int), avg(wait_ms), max(wait_ms)
        from queue_visits group by queue order by queue
        """,
    )


def test_several_queues_are_those_asked_for_and_no_others(source: Source) -> None:
    report = _report(source, "queues", queues=("sales", "billing"))
    _equal(
        source,
        [*report.section("queues").rows(), report.section("queues").total_row()],
        "queue offered",
        """
        select coalesce(queue, 'Queues sales, billing'), count(*) from queue_visits where queue in ('sales', 'billing')
        group by rollup (queue) order by queue nulls last
        """,
    )


def test_abandonment(source: Source) -> None:
    report = _report(source, "abandonment")
    _equal(
        source,
        report.section("queues").rows(),
        "queue abandoned short_abandoned abandonment_rate mean_wait_abandoned_ms",
        """
        select queue, count(*) filter (outcome = 'abandoned'),
            count(*) filter (outcome = 'abandoned' and wait_ms < 5000),
            count(*) filter (outcome = 'abandoned') / count(*) filter (outcome <> 'waiting'),
            avg(wait_ms) filter (outcome = 'abandoned')
        from queue_visits group by queue order by queue
        """,
    )
    _equal(
        source,
        [row for row in report.section("by_wait").rows() if row["wait"] == "10-20"],
        "waited abandoned share hazard",
        """
        with gave_up as (select * from queue_visits where outcome = 'abandoned')
        select count(*), (select count(*) from gave_up where wait_ms between 10000 and 19999),
            (select count(*) filter (wait_ms between 10000 and 19999) / count(*) from gave_up),
            (select count(*) filter (wait_ms between 10000 and 19999) from gave_up) / count(*)
        from queue_visits where wait_ms >= 10000
        """,
    )
    _equal(
        source,
        sorted(report.section("callers").rows(), key=lambda row: row["from_number"]),
        "from_number times answered_since",
        """
        select from_number, count(*), max(enqueued_at) < (
            select coalesce(max(enqueued_at), '-infinity') from queue_visits as later
            where later.from_number = visit.from_number and outcome = 'answered')
        from queue_visits as visit where outcome = 'abandoned' and from_number is not null group by 1 order by 1
        """,
    )


def test_waits(source: Source) -> None:
    report = _report(source, "waits")
    _equal(
        source,
        [report.section("queues").total_row()],
        "wait_p50_ms wait_p90_ms wait_p99_ms wait_answered_p95_ms mean_wait_ms",
        """
        select quantile_disc(wait_ms, 0.5), quantile_disc(wait_ms, 0.9), quantile_disc(wait_ms, 0.99),
            quantile_disc(wait_ms, 0.95) filter (outcome = 'answered'), avg(wait_ms)
        from queue_visits
        """,
    )
    _equal(
        source,
        [row for row in report.section("wait_distribution").rows() if row["wait"] == "30-60"],
        "visits cumulative_share",
        """
        select count(*) filter (wait_ms between 30000 and 59999), count(*) filter (wait_ms < 60000) / count(wait_ms)
        from queue_visits
        """,
    )


@pytest.mark.parametrize(("interval", "part"), [("15m", "15 minutes"), ("30m", "30 minutes"), ("1h", "1 hour")])
def test_intervals(source: Source, interval: str, part: str) -> None:
    report = _report(source, "intervals", interval=interval)
    _equal(
        source,
        [row for row in report.section("intervals").rows() if row["offered"]],
        "interval_start offered service_level",
        f"""
        select time_bucket(interval '{part}', {LOCAL}) at time zone '{TZ}', count(*),
            count(*) filter (outcome = 'answered' and wait_ms <= 20000)
                / nullif(count(*) - count(*) filter (outcome = 'waiting')
                    - count(*) filter (outcome = 'abandoned' and wait_ms < 5000), 0)
        from queue_visits group by 1 order by 1
        """,
    )
    happened = list(report.section("happened").rows())
    totals = {name: sum(row[name] for row in happened) for name in ("began", "answered", "abandoned", "waited_ms")}
    _equal(
        source,
        [totals],
        "began answered abandoned waited_ms",
        """
        select count(*), count(*) filter (outcome = 'answered'), count(*) filter (outcome = 'abandoned'),
            sum(wait_ms)::bigint
        from queue_visits
        """,
    )
    _equal(
        source,
        [row for row in happened if row["waited_ms"]],
        "interval_start waited_ms",
        f"""
        select time_bucket(interval '{part}', interval_start at time zone '{TZ}') at time zone '{TZ}',
            sum(wait_ms)::bigint
        from queue_intervals where attribution = 'clipped' group by 1 order by 1
        """,
    )


def test_the_week_by_the_hour(source: Source) -> None:
    cells = [row for row in _report(source, "heatmap").section("cells").rows() if row["offered"]]
    _equal(
        source,
        cells,
        "weekday hour offered times mean_wait_answered_ms",
        f"""
        select dayname({LOCAL}), strftime({LOCAL}, '%H:00'), count(*), 1, avg(wait_ms) filter (outcome = 'answered')
        from queue_visits group by all order by min(enqueued_at)
        """,
    )


def test_queue_length_is_that_of_the_view(source: Source) -> None:
    report = _report(source, "depth", interval="30m")
    _equal(
        source,
        report.section("queues").rows(),
        "queue peak depth_ms longest_waiting_ms",
        """
        select queue, (select max(depth) from queue_depth where queue_depth.queue = queue_visits.queue),
            sum(epoch_us(left_at) // 1000 - epoch_us(enqueued_at) // 1000)::bigint, max(wait_ms)
        from queue_visits where left_at is not null group by queue order by queue
        """,
    )
    assert sum(row["depth_ms"] for row in report.section("intervals").rows()) == sum(
        row["depth_ms"] for row in report.section("queue_intervals").rows()
    )
    total = report.section("queues").total_row()
    assert total is not None
    assert total["peak"] == max(row["peak"] for row in report.section("intervals").rows())
    _equal(
        source,
        [row for row in report.section("queue_intervals").rows() if row["queue"] == "support" and row["depth_ms"]],
        "interval_start peak",
        f"""
        select time_bucket(interval '30 minutes', moment at time zone '{TZ}') at time zone '{TZ}', max(depth)
        from queue_depth where queue = 'support' group by 1 order by 1
        """,
    )


def test_queue_length_by_the_hour(source: Source) -> None:
    rows = [row for row in _report(source, "depth", by=("queue", "hour")).section("by").rows() if row["depth_ms"]]
    peak = f"""
        select queue, strftime(moment at time zone '{TZ}', '%H:00') as hour, max(depth) as peak
        from queue_depth group by all order by all
    """
    _equal(source, rows, "queue hour peak", peak)
    # A period has each hour twice here, of two days.
    assert all(row["mean_depth"] == row["depth_ms"] / 7_200_000 for row in rows)
    assert sum(row["depth_ms"] for row in rows) == sum(
        row["depth_ms"] for row in _report(source, "depth").section("queues").rows()
    )


def test_then_and_now_by_weekday_and_queue(source: Source) -> None:
    report = _report(source, "compare", by=("weekday", "queue"), from_="2026-03-02", to="2026-03-03")
    _equal(
        source,
        [row for row in report.section("compare").rows() if row["name"] == "offered"],
        "weekday queue now_value before_value",
        """
        select 'All times', null, count(*)::double, 0.0 from queue_visits
        union all
        (select 'Monday', queue, count(*)::double, 0.0 from queue_visits group by queue order by queue)
        """,
    )


def test_completeness(source: Source) -> None:
    _equal(
        source,
        _report(source, "completeness").section("events").rows(),
        "day queue event_type heard missing score",
        """
        select strftime(occurred_at, '%Y-%m-%d'), if(event_type like 'call.%queued', queue, null) as q, event_type,
            count(*), 0, 1.0
        from events group by all order by 1, q nulls first, event_type
        """,
    )
    assert {completeness_of(source, _report(source, name)) for name in ("sla", "calls", "completeness")} == {1.0}


def test_then_and_now(source: Source) -> None:
    # The center was open on one evening: in the week after there is nothing else to compare with.
    rows = list(_report(source, "compare", from_="2026-03-09T19:55", to="2026-03-09T20:20").section("compare").rows())
    _equal(
        source,
        [row for row in rows if row["queue"] == "All queues" and row["name"] in {"offered", "longest_wait_ms"}],
        "now_value before_value week_value",
        """
        with evening as (
            from queue_visits where enqueued_at >= '2026-03-02 14:25:00+00' and enqueued_at < '2026-03-02 14:50:00+00'
        )
        select 0.0, 0.0, count(*)::double from evening
        union all
        select null, null, max(wait_ms)::double from evening
        """,
    )


def test_conferences_participants_and_recordings(source: Source) -> None:
    _equal(
        source,
        _report(source, "conferences").section("conferences").rows(),
        "conferences completed total_duration_ms mean_duration_ms median_duration_ms peak_participants stays",
        """
        select count(*), count(ended_at), sum(duration_ms)::bigint, avg(duration_ms), quantile_disc(duration_ms, 0.5),
            max(peak_participants), sum(participants)::bigint from conferences
        """,
    )
    participants = _report(source, "participants")
    _equal(
        source,
        participants.section("participants").rows(),
        "stays legs rejoins stay_ms floor_ms peak",
        """
        select count(*), count(distinct (conference_id, call_leg_id)),
            count(*) - count(distinct (conference_id, call_leg_id)), sum(duration_ms)::bigint, sum(floor_ms)::bigint,
            any_value(peak)
        from participant_stays, (select max(peak_participants) as peak from conferences)
        """,
    )
    _equal(
        source,
        sorted(participants.section("legs").rows(), key=lambda row: (row["conference_id"], row["call_leg_id"])),
        "conference_id call_leg_id stays floor_share",
        """
        select conference_id, call_leg_id, count(*),
            sum(floor_ms) / nullif(sum(sum(floor_ms)) over (partition by conference_id), 0)
        from participant_stays group by conference_id, call_leg_id order by conference_id, call_leg_id
        """,
    )
    _equal(
        source,
        _report(source, "recordings").section("forms").rows(),
        "kind channels format recordings total_duration_ms longest_duration_ms",
        """
        select kind, channels, format, count(*), sum(duration_ms)::bigint, max(duration_ms)
        from recordings group by all order by all nulls last
        """,
    )


def test_calls(source: Source) -> None:
    report = _report(source, "calls")
    _equal(
        source,
        report.section("directions").rows(),
        "direction calls answered answer_rate total_talk_ms mean_talk_ms talk_p90_ms held total_hold_ms",
        """
        select direction, count(*), count(answered_at), count(answered_at) / count(*), sum(talk_ms)::bigint,
            avg(talk_ms), quantile_disc(talk_ms, 0.9), sum((holds > 0)::int), sum(hold_ms)::bigint
        from calls group by direction order by direction nulls last
        """,
    )
    _equal(
        source,
        report.section("costs").rows(),
        "currency direction cost billed_secs",
        """
        select currency, direction, sum(cost)::double, sum(billed_secs)::bigint from calls where cost is not null
        group by all order by all nulls last
        """,
    )
    causes = {
        (row["hangup_cause"], row["hangup_source"]): row["calls"] for row in report.section("hangup_causes").rows()
    }
    query = "select hangup_cause, hangup_source, count(*) from calls where status = 'ended' group by all"
    assert causes == {(cause, by): count for cause, by, count in source.db.execute(query).fetchall()}


def test_calls_of_a_queue_are_those_of_its_sessions(source: Source) -> None:
    report = _report(source, "calls", queues=("sales",))
    total = report.section("directions").total_row()
    _equal(
        source,
        [total],
        "calls",
        """
        select count(*) from calls
        where call_session_id in (select call_session_id from queue_visits where queue = 'sales')
        """,
    )


def test_end_reasons(source: Source) -> None:
    report = _report(source, "end-reasons")
    for section, query in (
        ("conferences", "select end_reason, end_reason_source, count(*) from conferences where ended_at is not null"),
        ("visits", "select reason, outcome, count(*) from queue_visits"),
        ("calls", "select hangup_cause, hangup_source, count(*) from calls where status = 'ended'"),
    ):
        rows = [tuple(row.values()) for row in report.section(section).rows()]
        found = {(first, second): count for first, second, count, *_ in rows}
        assert found == {(a, b): n for a, b, n in source.db.execute(query + " group by all").fetchall()}, section
        assert sum(row[3] for row in rows) == pytest.approx(1)


def test_staffing_rests_on_measured_loads(source: Source) -> None:
    _equal(
        source,
        _report(source, "staffing").section("queues").rows(),
        "queue offered handle_ms patience_ms",
        """
        with bridges as (
            select visit.queue, visit_id, epoch_ms(min(occurred_at)) as start_ms, any_value(visit.call_leg_id) as leg
            from queue_visits as visit join events on events.call_leg_id = visit.call_leg_id
            where outcome = 'answered' and event_type = 'call.bridged' and occurred_at >= enqueued_at group by 1, 2
        ),
        talk as (
            select queue, avg((
                select min(epoch_ms(occurred_at)) from events
                where call_leg_id = leg and event_type in ('call.enqueued', 'call.hangup')
                and epoch_ms(occurred_at) > start_ms
            ) - start_ms) as handle_ms
            from bridges group by 1
        )
        select queue, count(*), any_value(handle_ms), sum(wait_ms) / nullif(count(*) filter (outcome = 'abandoned'), 0)
        from queue_visits join talk using (queue) group by queue order by queue
        """,
    )


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_is_listed_has_every_format_and_is_the_same_bytes_again(source: Source, name: str) -> None:
    assert REPORTS[name].summary
    first, again = (_report(source, name) for _ in range(2))
    forms = EVERY if name in {"sla", "heatmap", "staffing"} else ("html", "xlsx", "csv")
    for form in forms:
        assert encoded(first, form) == encoded(again, form), form
    for form in PICTURES if name == "depth" else ():
        drawn = pictures(first, form)
        assert drawn == pictures(again, form)
        assert set(drawn) == {"depth"}
        assert all(content.startswith(b"\x89PNG" if form == "png" else b"<svg") for content in drawn.values())


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_has_something_to_say_where_there_is_nothing(name: str) -> None:
    with opened_warehouse() as warehouse:
        describe(warehouse.db)
        empty = Source(warehouse.db)
        periods: tuple[dict[str, Any], ...] = ({}, PERIOD)
        for options in periods:
            report = run(name, empty, a_request(AFTERWARDS, queues=("support",), **options))
            for form in ("table", "html", "json"):
                assert encoded(report, form)
            for section in report.sections:
                rates = [c.name for c in section.columns if c.kind == "rate" and c.name != "target"]
                assert not [row for row in section.rows() if any(row[rate] is not None for rate in rates)]


@pytest.mark.parametrize(
    "name",
    [name for name in REPORTS if name not in {"heatmap", "compare", "depth", "staffing", "completeness"}],
)
def test_most_reports_can_be_grouped_by_the_calendar(source: Source, name: str) -> None:
    report = _report(source, name, by=("weekday",))
    count = next(column.name for column in report.section(report.main).columns if column.kind == "count")
    whole = _report(source, name)
    shown = report.section(report.main)
    assert shown.frame["weekday"].unique().to_list() == ["Monday"]
    assert shown.frame[count].sum() == whole.section(whole.main).frame[count].sum()
