"""The measures of `reports.measures.measures` evaluated with polars: visits into aggregates, aggregates into rates.

`visits` is always a lazy frame with one row a visit and the columns `outcome`, `wait_ms`, `bound_ms`,
`threshold_ms`, `short_abandon_ms` and those it is grouped by. Aggregates have one row a group and one column an
`Aggregate`.
"""

from collections.abc import Sequence

import polars as pl

from reports.measures import nearest_rank
from reports.measures.measures import (
    ABANDONMENT,
    AGGREGATES,
    DEFAULT_VARIANT,
    MEANS,
    OUTCOMES,
    PERCENTILES,
    VARIANTS,
    WAIT_BUCKETS,
    WAIT_EDGES_SECS,
    service_level,
)

_AS_NUMBERS = pl.selectors.string().cast(pl.Categorical)
_KNOWN = "wait_ms is not null"
WANTED = tuple(nearest_rank.Wanted(p.name, p.percent, None if p.of == _KNOWN else p.of) for p in PERCENTILES)


def _grouped(frame: pl.LazyFrame, by: Sequence[str], expressions: Sequence[pl.Expr]) -> pl.LazyFrame:
    # Grouping by nothing still gives one row, so that the total of no visits is a row of zeros.
    return frame.group_by(list(by)).agg(expressions) if by else frame.select(expressions)


def aggregated(visits: pl.LazyFrame, by: Sequence[str]) -> pl.LazyFrame:
    """Return the aggregates of visits, one row a group; one row in all when `by` is empty."""
    return _grouped(visits, by, [aggregate.expr for aggregate in AGGREGATES])


def rolled_up(aggregates: pl.LazyFrame, by: Sequence[str]) -> pl.LazyFrame:
    """Return coarser aggregates made of finer ones: the same as from the visits anew, without reading them again."""
    return _grouped(aggregates, by, [aggregate.rolled_up for aggregate in AGGREGATES])


def waits(visits: pl.LazyFrame, by: Sequence[str]) -> nearest_rank.Ordered:
    """Return the waits that are known in order, group by group: `WANTED` are the percentiles to take of them."""
    populations = list(dict.fromkeys(one.of for one in WANTED))
    flags = [pl.sql_expr(of).fill_null(value=False).alias(of) for of in populations if of is not None]
    known = visits.filter(pl.sql_expr(_KNOWN)).select(*by, "wait_ms", *flags)
    return nearest_rank.ordered(known.with_columns(_AS_NUMBERS).collect(), by, "wait_ms", populations)


def percentiles(visits: pl.LazyFrame, by: Sequence[str]) -> pl.LazyFrame:
    """Return nearest-rank percentiles of the waits, one row a group in which one is known.

    One row in all when `by` is empty, of nulls where no wait is known. Texts in `by` come back categorical.
    """
    found = waits(visits, by)
    return (found.apart(WANTED) if by else found.together(WANTED)).lazy()


def with_rates(aggregates: pl.LazyFrame, variant: str = DEFAULT_VARIANT) -> pl.LazyFrame:
    """Return aggregates with every rate and mean beside them, computed from the counts of their own row."""
    ratios = (service_level(variant), *VARIANTS.values(), *ABANDONMENT, *MEANS)
    return aggregates.with_columns(ratio.expr for ratio in ratios)


def wait_distribution(visits: pl.LazyFrame, by: Sequence[str] = ()) -> pl.LazyFrame:
    """Return counts of known waits: columns `by`, `wait` (a bucket in seconds, 5-10), one for each outcome, `visits`.

    Every bucket of every group that occurs is there; an empty one holds zeros.
    """
    edges = pl.Series("edges", [edge * 1000 for edge in WAIT_EDGES_SECS[1:]], dtype=pl.Int64)
    bucket = pl.lit(edges).search_sorted(pl.col("wait_ms"), side="right").cast(pl.UInt32).alias("bucket")
    # Counted by outcome, too, and only then laid side by side: one look at each visit, not one for each outcome.
    counted = visits.filter(pl.sql_expr(_KNOWN)).group_by(*by, bucket, "outcome").agg(pl.len().cast(pl.Int64))
    counts = [pl.col("len").filter(pl.col("outcome") == outcome).sum().alias(outcome) for outcome in OUTCOMES]
    found = counted.group_by(*by, "bucket").agg(*counts, pl.col("len").sum().alias("visits"))
    buckets = pl.LazyFrame({"wait": WAIT_BUCKETS}).with_row_index("bucket")
    spine = visits.select(by).unique().join(buckets, how="cross") if by else buckets
    return (
        spine.join(found, on=[*by, "bucket"], how="left", nulls_equal=True)
        .sort(*by, "bucket")
        .select(*by, "wait", pl.col(*OUTCOMES, "visits").fill_null(0))
    )
