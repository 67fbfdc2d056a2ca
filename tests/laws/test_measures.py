"""The identities of docs/metrics.md over random visits, against plain Python that knows nothing of polars or SQL."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.catalogue import sla
from reports.measures.aggregation import (
    aggregated,
    percentiles,
    rolled_up,
    wait_distribution,
    with_rates,
)
from reports.measures.measures import OUTCOMES, VARIANTS
from reports.source import Source
from tests.support.requests import a_request
from warehouse.scripts import SCHEMA

BEGIN = datetime(2026, 10, 31, 20, tzinfo=UTC)  # the clocks of New York go back in the night after
RATES = ("service_level", *(ratio.name for ratio in VARIANTS.values()), "abandonment_rate", "abandonment_rate_adjusted")

# No deadline: how long an example takes says more about the machine's other work than about the law.
law = settings(deadline=None)


@dataclass(frozen=True)
class Visit:
    queue: str | None
    at: datetime
    outcome: str
    wait_ms: int | None
    bound_ms: int | None = None
    """How long a visit that is over can have waited at most, where nobody said when it left."""

    @property
    def left_at_latest(self) -> datetime | None:
        return None if self.bound_ms is None else self.at + timedelta(milliseconds=self.bound_ms)


def _visit(queue: str | None, offset_ms: int, outcome: str, wait_ms: int, *, bounded: bool = False) -> Visit:
    at = BEGIN + timedelta(milliseconds=offset_ms)
    if outcome in ("answered", "unknown") and bounded:
        return Visit(queue, at, outcome, None, wait_ms)
    return Visit(queue, at, outcome, None if outcome in {"waiting", "unknown"} else wait_ms)


# Waits near the thresholds more often than chance would have them.
WAITS = st.one_of(st.integers(0, 400_000), st.sampled_from([0, 4_999, 5_000, 5_001, 10_000, 19_999, 20_000, 20_001]))
VISITS = st.lists(
    st.builds(
        _visit,
        st.sampled_from(["support", "sales", "left", None]),
        st.integers(0, 20 * 3_600_000),
        st.sampled_from(OUTCOMES),
        WAITS,
        bounded=st.sampled_from([False, False, True]),
    ),
    max_size=60,
)
THRESHOLDS = st.sampled_from([0, 1_000, 5_000, 20_000, 60_000])


_SCHEMA = pl.Schema(
    {
        "queue": pl.String(),
        "enqueued_at": pl.Datetime("us", "UTC"),
        "outcome": pl.String(),
        "wait_ms": pl.Int64(),
        "bound_ms": pl.Int64(),
    }
)


def _frame(visits: Iterable[Visit], threshold_ms: int = 20_000, short_ms: int = 5_000) -> pl.LazyFrame:
    rows = [(visit.queue, visit.at, visit.outcome, visit.wait_ms, visit.bound_ms) for visit in visits]
    frame = pl.LazyFrame(rows, schema=_SCHEMA, orient="row")
    return frame.with_columns(threshold_ms=pl.lit(threshold_ms), short_abandon_ms=pl.lit(short_ms))


def _row(visits: Iterable[Visit], threshold_ms: int = 20_000, short_ms: int = 5_000) -> dict[str, Any]:
    frame = _frame(visits, threshold_ms, short_ms)
    measured = pl.concat([aggregated(frame, []), percentiles(frame, [])], how="horizontal")
    return with_rates(measured).collect().row(0, named=True)


def _ratio(part: float, whole: int) -> float | None:
    return part / whole if whole else None


def _by_hand(visits: list[Visit], threshold_ms: int, short_ms: int) -> dict[str, Any]:
    """Return the measures of METRICS.md as its table reads, one visit at a time."""
    counts = {outcome: sum(visit.outcome == outcome for visit in visits) for outcome in OUTCOMES}
    answered = [visit.wait_ms for visit in visits if visit.outcome == "answered" and visit.wait_ms is not None]
    abandoned = [visit.wait_ms for visit in visits if visit.outcome == "abandoned" and visit.wait_ms is not None]
    waits = sorted(visit.wait_ms for visit in visits if visit.wait_ms is not None)
    bounds = [visit.bound_ms for visit in visits if visit.bound_ms is not None]
    answered_by = [visit.bound_ms for visit in visits if visit.outcome == "answered" and visit.bound_ms is not None]
    within = sum(wait <= threshold_ms for wait in [*answered, *answered_by])
    gone = sum(wait <= threshold_ms for wait in [*waits, *bounds])
    lost = sum(wait <= threshold_ms for wait in abandoned)
    short = sum(wait < short_ms for wait in abandoned)
    done = len(visits) - counts["waiting"]
    levels = {
        "short_abandons_excluded": _ratio(within, done - short),
        "answered_only": _ratio(within, counts["answered"]),
        "offered": _ratio(within, done),
        "abandons_in_threshold_ignored": _ratio(within, done - lost),
        "abandons_in_threshold_met": _ratio(within + lost, done),
        "removed_in_threshold": _ratio(gone, done),
        "flow_outs_excluded": _ratio(within, counts["answered"] + counts["abandoned"] - short),
    }
    return {
        "offered": len(visits),
        **counts,
        "short_abandoned": short,
        **{f"service_level_{name}": level for name, level in levels.items()},
        "service_level": levels["short_abandons_excluded"],
        "abandonment_rate": _ratio(counts["abandoned"], done),
        "abandonment_rate_adjusted": _ratio(counts["abandoned"] - short, done - short),
        "mean_wait_answered_ms": _ratio(sum(answered), len(answered)),
        "mean_wait_abandoned_ms": _ratio(sum(abandoned), len(abandoned)),
        "total_wait_ms": sum(waits),
        "longest_wait_ms": max(waits, default=None),
        **{f"wait_p{p}_ms": _nearest_rank(waits, p) for p in (50, 90, 95, 99)},
        **{f"wait_answered_p{p}_ms": _nearest_rank(sorted(answered), p) for p in (50, 90, 95, 99)},
    }


def _nearest_rank(ordered: list[int], percent: int) -> int | None:
    return ordered[math.ceil(len(ordered) * percent / 100) - 1] if ordered else None


@law
@given(VISITS, THRESHOLDS, THRESHOLDS)
def test_every_measure_equals_one_worked_out_by_hand(visits: list[Visit], threshold_ms: int, short_ms: int) -> None:
    expected = _by_hand(visits, threshold_ms, short_ms)
    row = _row(visits, threshold_ms, short_ms)
    assert {name: row[name] for name in expected} == expected


@law
@given(VISITS)
def test_offered_is_the_sum_of_the_outcomes(visits: list[Visit]) -> None:
    for row in aggregated(_frame(visits), ["queue"]).collect().iter_rows(named=True):
        assert row["offered"] == sum(row[outcome] for outcome in OUTCOMES)


@law
@given(VISITS, THRESHOLDS, THRESHOLDS)
def test_rates_lie_between_nothing_and_all(visits: list[Visit], threshold_ms: int, short_ms: int) -> None:
    row = _row(visits, threshold_ms, short_ms)
    assert all(row[rate] is None or 0 <= row[rate] <= 1 for rate in RATES)
    if not visits:
        assert all(row[rate] is None for rate in RATES)


@law
@given(VISITS, THRESHOLDS)
def test_the_variants_keep_their_order_when_short_is_not_longer_than_the_threshold(
    visits: list[Visit], threshold_ms: int
) -> None:
    row = _row(visits, threshold_ms, min(5_000, threshold_ms))
    names = ("offered", "short_abandons_excluded", "abandons_in_threshold_ignored")
    levels = [row[f"service_level_{name}"] for name in names]
    known = [level for level in levels if level is not None]
    assert known == sorted(known)


@law
@given(VISITS)
def test_the_longest_wait_is_no_shorter_than_any_percentile(visits: list[Visit]) -> None:
    row = _row(visits)
    waits = [row[name] for name in ("longest_wait_ms", "wait_p99_ms", "wait_p95_ms", "wait_p90_ms", "wait_p50_ms")]
    assert waits == [None] * 5 or waits == sorted(waits, reverse=True)


@law
@given(VISITS)
def test_rolling_up_gives_what_counting_anew_gives(visits: list[Visit]) -> None:
    frame = _frame(visits).with_columns(interval=pl.col("enqueued_at").dt.hour())
    finest = aggregated(frame, ["queue", "interval"]).collect().lazy()
    for by in (["queue"], ["interval"], []):
        anew, up = (found.collect().sort(by or ["offered"]) for found in (aggregated(frame, by), rolled_up(finest, by)))
        assert up.equals(anew)


@law
@given(VISITS)
def test_the_buckets_hold_every_known_wait_once(visits: list[Visit]) -> None:
    frame = wait_distribution(_frame(visits)).collect()
    assert frame["visits"].sum() == sum(visit.wait_ms is not None for visit in visits)
    assert sum(frame[outcome].sum() for outcome in OUTCOMES) == frame["visits"].sum()


@pytest.fixture(scope="module")
def db() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(SCHEMA.replace(" using compression zstd", ""))
        # What internal columns hold is the warehouse's own business: here they may stay empty.
        required = "select column_name from duckdb_columns() where table_name = 'queue_visits' and not is_nullable"
        for (name,) in connection.execute(required).fetchall():
            connection.execute(f"alter table queue_visits alter column {name} drop not null")
        yield connection


def _filled(db: duckdb.DuckDBPyConnection, visits: list[Visit]) -> Source:
    db.execute("delete from queue_visits")
    columns = {
        "queue": pa.array([visit.queue for visit in visits], pa.string()),
        "enqueued_at": pa.array([visit.at for visit in visits], pa.timestamp("us", "UTC")),
        "outcome": pa.array([visit.outcome for visit in visits], pa.string()),
        "wait_ms": pa.array([visit.wait_ms for visit in visits], pa.int64()),
        "left_at_latest": pa.array([visit.left_at_latest for visit in visits], pa.timestamp("us", "UTC")),
    }
    db.register("given", pa.table(columns))
    db.execute("insert into queue_visits by name select * from given")
    db.unregister("given")
    return Source(db)


@settings(law, max_examples=20)
@given(
    VISITS,
    st.sampled_from(["America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
    st.sampled_from(["30m", "1h", "1d"]),
    st.sampled_from([(), ("support",), ("support", "left")]),
)
def test_a_report_has_every_visit_once_in_its_queue_and_interval(
    db: duckdb.DuckDBPyConnection, visits: list[Visit], tz: str, interval: str, queues: tuple[str, ...]
) -> None:
    request = a_request(BEGIN, tz=tz, interval=interval, queues=queues, from_="2026-10-31", to="2026-11-02")
    report = sla.report(_filled(db, visits), request)
    assert report.from_ is not None
    assert report.to is not None
    asked = [v for v in visits if (not queues or v.queue in queues) and report.from_ <= v.at < report.to]

    expected: dict[tuple[str | None, datetime], list[Visit]] = defaultdict(list)
    bounds = [row["interval_start"] for row in report.section("intervals").rows()]
    for visit in asked:
        expected[visit.queue, max(bound for bound in bounds if bound <= visit.at)].append(visit)
    for row in report.section("queue_intervals").rows():
        by_hand = _by_hand(expected.pop((row["queue"], row["interval_start"]), []), 20_000, 5_000)
        assert {name: row[name] for name in by_hand} == by_hand
    assert not expected

    for rows, chosen in ((report.section("queues").rows(), "queue"), (report.section("intervals").rows(), "interval")):
        total = _by_hand(asked, 20_000, 5_000)["offered"]
        assert sum(row["offered"] for row in rows) == total, chosen
    by_hand = _by_hand(asked, 20_000, 5_000)
    total_row = report.section("queues").total_row()
    assert total_row is not None
    assert {name: total_row[name] for name in by_hand} == by_hand


@pytest.mark.parametrize("tz", ["America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])
def test_the_sum_of_waits_is_the_same_in_every_interval(db: duckdb.DuckDBPyConnection, tz: str) -> None:
    visits = [_visit("support", minute * 60_000, OUTCOMES[minute % 5], minute * 97) for minute in range(0, 1200, 7)]
    source = _filled(db, visits)
    found = {
        sum(
            row["total_wait_ms"] for row in sla.report(source, a_request(BEGIN, tz=tz, interval=i)).section(name).rows()
        )
        for i in ("15m", "30m", "1h", "1d", "1w", "1mo")
        for name in ("queues", "intervals", "queue_intervals")
    }
    assert found == {sum(visit.wait_ms or 0 for visit in visits)}
