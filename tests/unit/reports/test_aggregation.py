"""Counts, percentiles and the distribution of waits, where they are easy to get wrong: at edges and over nothing."""

import polars as pl
import pytest

from reports.measures.aggregation import (
    aggregated,
    percentiles,
    rolled_up,
    wait_distribution,
    with_rates,
)


def _visits(*visits: tuple[str, int | None]) -> pl.LazyFrame:
    frame = pl.LazyFrame(visits, schema={"outcome": pl.String, "wait_ms": pl.Int64}, orient="row")
    return frame.with_columns(
        queue=pl.lit("support"),
        bound_ms=pl.lit(None, dtype=pl.Int64),
        threshold_ms=pl.lit(20_000),
        short_abandon_ms=pl.lit(5_000),
    )


def test_a_wait_of_the_threshold_is_within_it_and_one_of_the_short_threshold_is_not_short() -> None:
    visits = _visits(("answered", 20_000), ("answered", 20_001), ("abandoned", 4_999), ("abandoned", 5_000))
    row = aggregated(visits, []).collect().row(0, named=True)
    assert (row["answered_within"], row["abandoned_within"], row["short_abandoned"]) == (1, 2, 1)


def test_flow_outs_count_as_gone_in_time_and_those_waiting_do_not() -> None:
    visits = _visits(
        ("left", 1_000), ("timed_out", 2_000), ("failed_bridge", 3_000), ("waiting", None), ("unknown", None)
    )
    row = with_rates(aggregated(visits, [])).collect().row(0, named=True)
    assert (row["removed_within"], row["offered"], row["waits"]) == (3, 5, 3)
    assert row["service_level_removed_in_threshold"] == 3 / 4
    assert row["service_level_flow_outs_excluded"] is None


def test_nothing_has_no_rates_no_waits_and_no_service_level() -> None:
    row = with_rates(aggregated(_visits(), [])).collect().row(0, named=True)
    assert row["offered"] == row["answered"] == row["total_wait_ms"] == 0
    assert all(
        row[name] is None for name in row if name.startswith(("service_level", "abandonment", "mean", "longest"))
    )
    assert set(percentiles(_visits(), []).collect().row(0)) == {None}
    assert aggregated(_visits(), ["queue"]).collect().height == 0


def test_only_short_abandons_leave_nothing_to_measure_a_level_by() -> None:
    row = with_rates(aggregated(_visits(("abandoned", 1_000)), [])).collect().row(0, named=True)
    assert row["service_level"] is None
    assert row["service_level_offered"] == 0
    assert row["abandonment_rate_adjusted"] is None


@pytest.mark.parametrize(
    ("waits", "p50", "p90"), [([7], 7, 7), ([1, 2], 1, 2), ([4, 1, 3, 2], 2, 4), (range(1, 11), 5, 9)]
)
def test_percentiles_are_waits_that_somebody_had(waits: list[int], p50: int, p90: int) -> None:
    row = percentiles(_visits(*(("answered", wait) for wait in waits)), []).collect().row(0, named=True)
    assert (row["wait_p50_ms"], row["wait_p90_ms"], row["wait_answered_p50_ms"]) == (p50, p90, p50)


def test_visits_without_a_wait_take_no_part_in_percentiles() -> None:
    visits = _visits(("answered", 5), ("unknown", None), ("waiting", None), ("abandoned", 9))
    row = percentiles(visits, ["queue"]).collect().row(0, named=True)
    assert (row["wait_p50_ms"], row["wait_p99_ms"], row["wait_answered_p99_ms"]) == (5, 9, 5)


def test_buckets_hold_their_lower_edge_and_are_all_there() -> None:
    visits = _visits(("abandoned", 4_999), ("answered", 5_000), ("answered", 300_000), ("waiting", None))
    frame = wait_distribution(visits).collect()
    found = {row["wait"]: (row["answered"], row["abandoned"], row["visits"]) for row in frame.iter_rows(named=True)}
    assert list(found) == ["0-5", "5-10", "10-20", "20-30", "30-60", "60-120", "120-300", "300+"]
    assert {wait: counts for wait, counts in found.items() if any(counts)} == {
        "0-5": (0, 1, 1),
        "5-10": (1, 0, 1),
        "300+": (1, 0, 1),
    }


def test_rolling_up_nothing_gives_the_total_of_nothing() -> None:
    assert rolled_up(aggregated(_visits(), ["queue"]), []).collect().equals(aggregated(_visits(), []).collect())
