"""The published worked examples, and one definition for two engines."""

import duckdb
import polars as pl
import pytest

from reports.errors import RequestError
from reports.measures.aggregation import (
    aggregated,
    percentiles,
    with_rates,
)
from reports.measures.definitions import Measure
from reports.measures.measures import (
    ABANDONMENT,
    AGGREGATES,
    MEANS,
    PERCENTILES,
    VARIANTS,
    every_measure,
    service_level,
)


def _visits(*groups: tuple[str, float | None, int]) -> pl.LazyFrame:
    rows = [(outcome, wait) for outcome, wait, number in groups for _ in range(number)]
    return pl.LazyFrame(
        {
            "outcome": [outcome for outcome, _ in rows],
            "wait_ms": [None if wait is None else round(wait * 1000) for _, wait in rows],
        },
        schema={"outcome": pl.String, "wait_ms": pl.Int64},
    ).with_columns(bound_ms=pl.lit(None, dtype=pl.Int64), threshold_ms=pl.lit(20_000), short_abandon_ms=pl.lit(5_000))


# 1000 answered, 860 of them within 20 s; 60 abandoned, 10 before 5 s, 10 more within 20 s, 40 beyond.
PUBLISHED = _visits(
    ("answered", 20, 860),
    ("answered", 20.001, 140),
    ("abandoned", 4.999, 10),
    ("abandoned", 5, 10),
    ("abandoned", 21, 40),
)


@pytest.mark.parametrize(
    ("variant", "percent"),
    [
        ("abandons_in_threshold_met", 83.0),
        ("answered_only", 86.0),
        ("offered", 81.1),
        ("abandons_in_threshold_ignored", 82.7),
        ("short_abandons_excluded", 81.9),
    ],
)
def test_the_published_example_comes_out_as_published(variant: str, percent: float) -> None:
    row = with_rates(aggregated(PUBLISHED, [])).collect().row(0, named=True)
    assert round(100 * row[VARIANTS[variant].name], 1) == percent


def test_a_formula_can_be_shown_with_its_numbers() -> None:
    row = aggregated(PUBLISHED, []).collect().row(0, named=True)
    assert service_level().formula == "answered_within / (offered - waiting - short_abandoned)"
    assert service_level().worked(row) == "860 / (1060 - 0 - 10)"
    assert VARIANTS["abandons_in_threshold_met"].worked(row) == "(860 + 20) / (1060 - 0)"


def test_the_report_leads_with_the_variant_asked_for() -> None:
    row = with_rates(aggregated(PUBLISHED, []), "answered_only").collect().row(0, named=True)
    assert row["service_level"] == row["service_level_answered_only"] == 0.86
    with pytest.raises(RequestError, match="expected one of short_abandons_excluded, answered_only"):
        service_level("best")


def test_duckdb_reads_the_same_definitions() -> None:
    visits = pl.concat(
        [PUBLISHED, _visits(("left", 3, 2), ("timed_out", 40, 3), ("unknown", None, 4), ("waiting", None, 5))]
    )
    frame = with_rates(pl.concat([aggregated(visits, []), percentiles(visits, [])], how="horizontal")).collect()
    with duckdb.connect() as db:
        db.register("visits", visits.collect().to_arrow())
        over_visits: tuple[Measure, ...] = (*AGGREGATES, *PERCENTILES)
        taken = ", ".join(f'{measure.sql} as "{measure.name}"' for measure in over_visits)
        ratios = (*VARIANTS.values(), *ABANDONMENT, *MEANS)
        rates = ", ".join(f"{ratio.sql} as {ratio.name}" for ratio in ratios)
        got = db.sql(f"select *, {rates} from (select {taken} from visits)").to_arrow_table().to_pylist()[0]
    assert got == pytest.approx(frame.drop("service_level").row(0, named=True), nan_ok=False)


def test_every_measure_has_its_own_name_a_title_and_a_formula() -> None:
    measures = every_measure()
    assert len({measure.name for measure in measures}) == len(measures)
    assert all(measure.title and measure.formula for measure in measures)
