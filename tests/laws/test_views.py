"""The views for analysts: their identities, and that their formulas are those of the reports."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.definitions import Measure
from reports.measures import ABANDONMENT, AGGREGATES, MEANS, OUTCOMES, VARIANTS
from reports.tallies import tally, with_rates
from tests.builders import NOON, a_warehouse
from warehouse.catalog import describe
from warehouse.query import value

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
        """How long it can have waited at most, where it was answered and nobody said when."""
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


@law
@given(VISITS)
def test_service_levels_are_those_of_the_reports(db: duckdb.DuckDBPyConnection, visits: list[Visit]) -> None:
    fill(db, visits)
    measures: tuple[Measure, ...] = (*AGGREGATES, *VARIANTS.values(), *ABANDONMENT, *MEANS)
    names = [measure.name for measure in measures]
    found = db.execute("select * from service_levels")
    columns = [column[0] for column in found.description or ()]
    assert columns == ["queue", "interval_start", "interval_end", "threshold_ms", "short_abandon_ms", *names]
    rows = [dict(zip(columns, row, strict=True)) for row in found.fetchall()]
    timed = [visit for visit in visits if visit.enqueued_us is not None]
    frame = pl.LazyFrame(
        {
            "queue": [visit.queue for visit in timed],
            "interval_start": [quarter_of((visit.enqueued_us or 0) // 1000) for visit in timed],
            "outcome": [visit.outcome for visit in timed],
            "wait_ms": [visit.wait_ms for visit in timed],
            "bound_ms": [visit.bound_ms for visit in timed],
        },
        schema={
            "queue": pl.String,
            "interval_start": pl.Datetime("us", "UTC"),
            "outcome": pl.String,
            "wait_ms": pl.Int64,
            "bound_ms": pl.Int64,
        },
    ).with_columns(threshold_ms=pl.lit(20_000), short_abandon_ms=pl.lit(5_000))
    expected = with_rates(tally(frame, ["queue", "interval_start"])).collect().to_dicts()

    def in_order(which: list[dict[str, object]]) -> list[dict[str, object]]:
        wanted = [{name: row[name] for name in ("queue", "interval_start", *names)} for row in which]
        return sorted(wanted, key=lambda row: (str(row["queue"]), row["interval_start"]))

    assert in_order(rows) == in_order(expected)


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
