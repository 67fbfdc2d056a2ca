"""The views for analysts: their identities, and that their formulas are those of the reports."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdtime.config.queue_policies import definitions
from holdtime.config.requests import request_of
from holdtime.config.settings import (
    Configuration,
)
from reports.catalogue import (
    by_interval,
    depth,
    end_reasons,
    sla,
)
from reports.measures.definitions import Measure
from reports.measures.measures import (
    ABANDONMENT,
    AGGREGATES,
    MEANS,
    OUTCOMES,
    VARIANTS,
)
from reports.source import Source
from tests.support.builders import NOON, a_warehouse
from tests.support.requests import a_request
from warehouse.catalog import describe
from warehouse.query import value
from warehouse.queue_definitions import QueueDefinition, put

law = settings(max_examples=40)
QUARTER_MS = 15 * 60_000
BEGIN_MS = int(NOON.timestamp() * 1000)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Visit:
    """A visit as its table holds it; times in microseconds since the epoch."""

    queue: str | None
    outcome: str
    enqueued_us: int | None
    left_us: int | None
    wait_ms: int | None
    left_latest_us: int | None = None

    @property
    def in_queue_ms(self) -> int | None:
        if self.enqueued_us is None or self.left_us is None:
            return None
        return self.left_us // 1000 - self.enqueued_us // 1000

    @property
    def bound_ms(self) -> int | None:
        """How long it can have waited at most, where nobody said when it left."""
        if self.enqueued_us is None or self.left_latest_us is None:
            return None
        return self.left_latest_us // 1000 - self.enqueued_us // 1000

    @property
    def gave_up_ms(self) -> int | None:
        """When waiting ended, to the millisecond."""
        if self.enqueued_us is not None and self.wait_ms is not None:
            return self.enqueued_us // 1000 + self.wait_ms
        return None if self.left_us is None else self.left_us // 1000


@st.composite
def a_visit(draw: st.DrawFn) -> Visit:
    """Any visit that the facts can hold, with many coincidences: instants on edges, no wait, dead calls kept."""
    queue = draw(st.sampled_from(["sales", "support", None]))
    quarter = draw(st.integers(0, 4)) * QUARTER_MS
    begun_us = (BEGIN_MS + quarter + draw(st.sampled_from([0, 1, 1_000, 20_000, QUARTER_MS - 1]))) * 1000
    begun_us += draw(st.sampled_from([0, 1, 999]))
    wait_us = draw(st.sampled_from([0, 999, 4_999_000, 5_000_000, 20_000_000, 20_000_999, 900_000_000, 4_000_000_000]))
    known = draw(st.sampled_from(["all", "all", "all", "no beginning", "no end", "dead in the queue", "bridged"]))
    over = [outcome for outcome in OUTCOMES if outcome != "waiting"]
    if known == "no end":
        return Visit(queue, draw(st.sampled_from(["waiting", "unknown"])), begun_us, None, None)
    if known == "bridged":
        return Visit(queue, "answered", begun_us, None, None, begun_us + wait_us)
    if known == "no beginning":
        return Visit(queue, draw(st.sampled_from(over)), None, begun_us + wait_us, None)
    wait_ms = (begun_us + wait_us) // 1000 - begun_us // 1000
    if known == "dead in the queue":
        return Visit(queue, "abandoned", begun_us, begun_us + wait_us + draw(st.integers(1, 10**9)), wait_ms)
    return Visit(queue, draw(st.sampled_from(over)), begun_us, begun_us + wait_us, wait_ms)


VISITS = st.lists(a_visit(), max_size=25)


@pytest.fixture(scope="module")
def db() -> Iterator[duckdb.DuckDBPyConnection]:
    warehouse = a_warehouse()
    describe(warehouse.db)
    yield warehouse.db
    warehouse.db.close()


def fill(db: duckdb.DuckDBPyConnection, visits: list[Visit]) -> None:
    db.execute("delete from queue_visits")
    instant = pa.timestamp("us", "UTC")
    given_visits = pa.table(
        {
            "visit_id": pa.array([str(n) for n in range(len(visits))], pa.string()),
            "queue": pa.array([visit.queue for visit in visits], pa.string()),
            "outcome": pa.array([visit.outcome for visit in visits], pa.string()),
            "enqueued_at": pa.array([visit.enqueued_us for visit in visits], pa.int64()).cast(instant),
            "left_at": pa.array([visit.left_us for visit in visits], pa.int64()).cast(instant),
            "left_at_latest": pa.array([visit.left_latest_us for visit in visits], pa.int64()).cast(instant),
            "wait_ms": pa.array([visit.wait_ms for visit in visits], pa.int64()),
            "in_queue_ms": pa.array([visit.in_queue_ms for visit in visits], pa.int64()),
            "revision": pa.array([1] * len(visits), pa.int32()),
            "entity": pa.array(["leg"] * len(visits), pa.string()),
            "entity_since": pa.array([0] * len(visits), pa.int64()).cast(instant),
        }
    )
    db.register("given_visits", given_visits)
    db.execute("insert into queue_visits by name select * from given_visits")
    db.unregister("given_visits")


def quarter_of(ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=ms - ms % QUARTER_MS)


@law
@given(VISITS)
def test_offered_is_the_sum_of_the_outcomes_in_every_cohort_interval(
    db: duckdb.DuckDBPyConnection, visits: list[Visit]
) -> None:
    fill(db, visits)
    rows = db.execute(
        f"""
        select queue, interval_start, offered, {", ".join(f'"{outcome}"' for outcome in OUTCOMES)}
        from queue_intervals where attribution = 'cohort'
        """
    ).fetchall()
    expected: dict[tuple[str | None, datetime], list[str]] = defaultdict(list)
    for visit in visits:
        if visit.enqueued_us is not None:
            expected[visit.queue, quarter_of(visit.enqueued_us // 1000)].append(visit.outcome)
    assert {(queue, start): counts for queue, start, offered, *counts in rows} == {
        key: [outcomes.count(outcome) for outcome in OUTCOMES] for key, outcomes in expected.items()
    }
    for _, _, offered, *counts in rows:
        assert offered == sum(counts)


@law
@given(VISITS)
def test_an_outcome_counts_by_event_time_when_the_waiting_ended(
    db: duckdb.DuckDBPyConnection, visits: list[Visit]
) -> None:
    fill(db, visits)
    rows = db.execute(
        """
        select queue, interval_start, abandoned from queue_intervals
        where attribution = 'event_time' and abandoned > 0
        """
    ).fetchall()
    expected: dict[tuple[str | None, datetime], int] = defaultdict(int)
    for visit in visits:
        if visit.outcome == "abandoned" and visit.gave_up_ms is not None:
            expected[visit.queue, quarter_of(visit.gave_up_ms)] += 1
    assert {(queue, start): number for queue, start, number in rows} == expected
    came = value(db, "select coalesce(sum(offered), 0) from queue_intervals where attribution = 'event_time'")
    went = value(
        db,
        f"""
        select coalesce(sum({" + ".join(f'"{outcome}"' for outcome in OUTCOMES)}), 0)
        from queue_intervals where attribution = 'event_time'
        """,
    )
    # All outcomes are there; of those whose beginning nobody said, only the outcome is.
    assert (came, went) == (sum(visit.enqueued_us is not None for visit in visits), len(visits))


@law
@given(VISITS)
def test_waits_sum_up_to_the_same_in_every_attribution(db: duckdb.DuckDBPyConnection, visits: list[Visit]) -> None:
    fill(db, visits)
    rows = db.execute("select attribution, sum(wait_ms) from queue_intervals group by all").fetchall()
    total = sum(visit.wait_ms or 0 for visit in visits)
    assert {attribution: waited for attribution, waited in rows if waited} == (
        dict.fromkeys(("cohort", "event_time", "clipped"), total) if total else {}
    )


@law
@given(VISITS)
def test_clipped_waiting_fits_in_its_interval_and_touches_it(
    db: duckdb.DuckDBPyConnection, visits: list[Visit]
) -> None:
    fill(db, visits)
    for queue, start, waited, offered in db.execute(
        "select queue, interval_start, wait_ms, offered from queue_intervals where attribution = 'clipped'"
    ).fetchall():
        begin = (start - EPOCH) // timedelta(milliseconds=1)
        inside = 0
        for visit in visits:
            if visit.queue == queue and visit.wait_ms and visit.enqueued_us is not None:
                came = visit.enqueued_us // 1000
                inside += max(0, min(came + visit.wait_ms, begin + QUARTER_MS) - max(came, begin))
        assert (waited, offered) == (inside, None)
        assert waited > 0


@law
@given(VISITS)
def test_the_integral_of_the_depth_is_the_sum_of_the_waits(db: duckdb.DuckDBPyConnection, visits: list[Visit]) -> None:
    over = [visit for visit in visits if visit.outcome != "waiting"]
    fill(db, over)
    ((depth, waiting),) = db.execute(
        """
        select coalesce(sum(depth * ms), 0), coalesce(sum(waiting * ms), 0)
        from (
            select
                *,
                epoch_us(lead(moment) over walk) // 1000 - epoch_us(moment) // 1000 as ms
            from queue_depth
            window walk as (partition by queue order by moment)
        )
        """
    ).fetchall()
    assert depth == sum(visit.in_queue_ms or 0 for visit in over)
    assert waiting == sum(visit.wait_ms or 0 for visit in over)


@law
@given(VISITS, st.integers(0, 6 * QUARTER_MS))
def test_the_depth_at_a_moment_is_how_many_are_there(
    db: duckdb.DuckDBPyConnection, visits: list[Visit], after_ms: int
) -> None:
    fill(db, visits)
    at = BEGIN_MS + after_ms
    found = dict(
        db.execute(
            "select queue, arg_max(depth, moment) from queue_depth where moment <= make_timestamptz(?) group by queue",
            [at * 1000],
        ).fetchall()
    )
    for queue in ("sales", "support", None):
        there = [
            visit
            for visit in visits
            if visit.queue == queue
            and visit.enqueued_us is not None
            and visit.enqueued_us // 1000 <= at
            and (visit.left_us // 1000 > at if visit.left_us is not None else visit.outcome == "waiting")
        ]
        assert found.get(queue, 0) == len(there)
    assert value(db, "select coalesce(min(depth), 0) >= 0 and coalesce(min(waiting), 0) >= 0 from queue_depth")


@st.composite
def a_policy(draw: st.DrawFn) -> dict[str, object]:
    """What a `[[queue]]` may say: of a queue that somebody calls or of another one, ever since or from a date on."""
    said: dict[str, object] = {"name": draw(st.sampled_from(["sales", "support", "nobody's"]))}
    local = NOON.replace(tzinfo=None)
    # Dates on the edges of intervals, within them, and where visits begin to the microsecond.
    if draw(st.booleans()):
        quarter, into_us = draw(st.integers(0, 4)) * QUARTER_MS, draw(st.sampled_from([-999, 0, 0, 1_000, 20_000_000]))
        said["effective_from"] = local + timedelta(milliseconds=quarter, microseconds=into_us)
    choices: dict[str, list[object]] = {
        "threshold_secs": [0, 5, 19.9996, 20, 900],
        "short_abandon_secs": [0, 5, 30],
        "target": [0.5, 0.95],
        "variant": [*VARIANTS],
        "timezone": ["UTC", "Africa/Accra"],
    }
    for name, values in choices.items():
        if (value_ := draw(st.sampled_from([None, *values]))) is not None:
            said[name] = value_
    return said


POLICIES = st.lists(a_policy(), max_size=6, unique_by=lambda each: (each["name"], each.get("effective_from")))
LEVELS = st.fixed_dictionaries(
    {}, optional={"threshold_secs": st.sampled_from([10, 30]), "variant": st.sampled_from(list(VARIANTS))}
)
MEASURES: tuple[Measure, ...] = (*AGGREGATES, *VARIANTS.values(), *ABANDONMENT, *MEANS)
EXACT = (*(measure.name for measure in MEASURES), "service_level")


@law
@given(VISITS, POLICIES, LEVELS)
def test_service_levels_are_those_of_the_reports(
    db: duckdb.DuckDBPyConnection, visits: list[Visit], policies: list[dict[str, object]], levels: dict[str, object]
) -> None:
    fill(db, visits)
    configuration = Configuration.model_validate({"queue": policies, "service_level": levels})
    put(db, definitions(configuration))
    now = NOON + timedelta(days=1)
    asked = {"interval": "15m", "tz": "UTC", "from_": f"{NOON.date()}", "to": f"{now.date()}"}
    report = sla.report(Source(db), request_of(configuration, asked, now))
    expected = {}
    for row in report.section("queue_intervals").rows():
        if row["offered"]:
            key = (row["queue"], row["interval_start"], row.get("since"))
            expected[key] = [row[name] for name in EXACT] + [row.get("target", report.request.target)]
    found = {
        (queue, start, since): rest
        for queue, start, since, *rest in db.execute(
            f"""select queue, interval_start, effective_from, {", ".join(f'"{name}"' for name in EXACT)}, target
            from service_levels"""
        ).fetchall()
    }
    assert found == expected
    terms = {(each.queue, each.effective_from): each for each in definitions(configuration)}
    for queue, since, *told in db.execute(
        "select queue, effective_from, threshold_ms, short_abandon_ms, target, variant, timezone from service_levels"
    ).fetchall():
        mine = terms.get((queue, since)) or terms[None, None]
        assert told == [mine.threshold_ms, mine.short_abandon_ms, mine.target, mine.variant, mine.timezone]


def test_a_definition_holds_from_its_very_instant_on(db: duckdb.DuckDBPyConnection) -> None:
    began = BEGIN_MS * 1000 + 450_000_000
    fill(db, [Visit("sales", "answered", began + us, began + us + 7_000_000, 7_000) for us in (-1, 0, 1)])
    early = QueueDefinition("sales", None, 5_000, 0, 0.8, "offered", "UTC")
    late = replace(early, effective_from=NOON + timedelta(microseconds=450_000_000), threshold_ms=9_000)
    put(db, [early, late])
    told = db.execute(
        "select effective_from is null, offered, threshold_ms, service_level from service_levels order by 1 desc"
    ).fetchall()
    assert told == [(True, 1, 5_000, 0.0), (False, 2, 9_000, 1.0)]


def test_without_a_configuration_the_defaults_hold(db: duckdb.DuckDBPyConnection) -> None:
    put(db, [])
    fill(db, [Visit("sales", "answered", BEGIN_MS * 1000, BEGIN_MS * 1000 + 20_000_000, 20_000)])
    told = db.execute(
        "select effective_from, threshold_ms, short_abandon_ms, target, variant, timezone, service_level "
        "from service_levels"
    ).fetchall()
    assert told == [(None, 20_000, 5_000, 0.8, "short_abandons_excluded", "UTC", 1.0)]


def test_definitions_are_written_only_where_they_are_others(db: duckdb.DuckDBPyConnection) -> None:
    mine = QueueDefinition("sales", NOON, 10_000, 2_000, 0.9, "offered", "Europe/Oslo")
    everyones = replace(mine, queue=None, effective_from=None)
    put(db, [])
    assert put(db, [mine, everyones])
    assert not put(db, [everyones, mine])
    assert put(db, [replace(mine, threshold_ms=11_000), everyones])
    assert value(db, "select list(threshold_ms order by threshold_ms) from queue_definitions") == [10_000, 11_000]


@law
@given(VISITS)
def test_the_report_intervals_says_what_the_views_say(db: duckdb.DuckDBPyConnection, visits: list[Visit]) -> None:
    """Whether a visit's beginning, its end or neither is known: in every attribution, in every quarter of an hour."""
    fill(db, visits)
    # As of the beginning nobody who still waits has waited.
    day = NOON.date()
    request = a_request(NOON, interval="15m", from_=f"{day}", to=f"{day + timedelta(days=1)}")
    report = by_interval.report(Source(db), request)
    outcomes = ", ".join(f'sum("{outcome}")::bigint' for outcome in OUTCOMES)
    for attribution, section, came in (("event_time", "happened", "began"), ("cohort", "intervals", "offered")):
        found = report.section(section).rows()
        rows = {row["interval_start"]: [row[came], *(row[outcome] for outcome in OUTCOMES)] for row in found}
        expected = db.execute(
            f"""
            select interval_start, sum(offered)::bigint, {outcomes}
            from queue_intervals where attribution = ? group by 1
            """,
            [attribution],
        ).fetchall()
        assert {start: counts for start, counts in rows.items() if any(counts)} == {
            start: counts for start, *counts in expected if any(counts)
        }
    waited = {row["interval_start"]: row["waited_ms"] for row in report.section("happened").rows() if row["waited_ms"]}
    clipped = db.execute(
        """
        select interval_start, sum(wait_ms)::bigint from queue_intervals where attribution = 'clipped' group by 1
        """
    ).fetchall()
    assert waited == dict(clipped)
    undated = [visit for visit in visits if visit.enqueued_us is None]
    for each in (report, depth.report(Source(db), request), end_reasons.report(Source(db), request)):
        assert any(f"{len(undated)} more visits" in note for note in each.notes) == bool(undated)


@law
@given(VISITS)
def test_the_report_depth_says_what_the_view_says(db: duckdb.DuckDBPyConnection, visits: list[Visit]) -> None:
    fill(db, [visit for visit in visits if visit.outcome != "waiting"])
    day = NOON.date()
    request = a_request(NOON + timedelta(days=1), interval="1h", from_=f"{day}", to=f"{day + timedelta(days=1)}")
    queues = {row["queue"]: row["peak"] for row in depth.report(Source(db), request).section("queues").rows()}
    peaks = dict(db.execute("select queue, max(depth) from queue_depth group by queue").fetchall())
    assert {queue: peak for queue, peak in queues.items() if peak} == {q: peak for q, peak in peaks.items() if peak}


def test_callers_who_gave_up_are_listed_by_when_they_did(db: duckdb.DuckDBPyConnection) -> None:
    us = BEGIN_MS * 1000
    fill(
        db,
        [
            Visit("sales", "abandoned", us, us + 9_000_000, 9_000),
            Visit("sales", "abandoned", us, us + 60_000_000, 7_000),
            Visit("sales", "answered", us, us + 1_000_000, 1_000),
            Visit("sales", "abandoned", None, us, None),
        ],
    )
    found = db.execute("select queue, wait_ms, abandoned_at from abandoned_calls order by wait_ms").fetchall()
    assert found == [
        ("sales", 7_000, NOON + timedelta(seconds=7)),
        ("sales", 9_000, NOON + timedelta(seconds=9)),
        ("sales", None, None),
    ]
