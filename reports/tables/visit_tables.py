"""Every measure over queue visits, by queue, by interval, by both or by anything else, from one reading of the visits.

Where queues have policies, a queue has a row for each policy that held for it in the period, and an interval that a
change of policy cuts has two: every row is of one policy, and says which.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from reports.calendar import intervals
from reports.calendar.intervals import Spine
from reports.measures import aggregation
from reports.measures.definitions import ValueKind
from reports.measures.measures import COMPLETENESS
from reports.request.effective_policy import EffectivePolicy
from reports.request.request import Request
from reports.tables import dimensions
from reports.tables.dimensions import Dimension
from reports.tables.report import (
    Column,
)
from reports.tables.visits import Period

QUEUE = Column("queue", "Queue", ValueKind.TEXT, 1)
OWN = {"queue": QUEUE}
_HELD = (
    Column("since", "Since", ValueKind.TIME, 2),
    Column("threshold_secs", "Threshold (s)", ValueKind.NUMBER, 5),
    Column("target", "Target", ValueKind.RATE, 4),
    Column("variant", "Variant", ValueKind.TEXT, 9),
)
MOMENT = pl.Datetime("us", "UTC")
# Queues are numbers while there are as many of them as visits or intervals, and texts in a finished table.
AS_TEXT = pl.selectors.enum().cast(pl.String)


@dataclass(frozen=True, slots=True)
class Tables:
    """Makes tables from one reading of the visits; the counts are taken once and rolled up.

    `queues` are those that a table of queues has: those asked for, and those in which somebody came.
    `waits` keeps the percentiles of each queue and of all, which come from one sort.
    """

    request: Request
    covered: Period | None
    visits: pl.LazyFrame
    finest: pl.LazyFrame
    spine: Spine | None
    queues: tuple[str | None, ...]
    policies: tuple[EffectivePolicy, ...]
    waits: dict[tuple[str, ...], pl.DataFrame] = field(default_factory=dict)

    @property
    def has_policies(self) -> bool:
        """Tell whether some queue has a policy of its own."""
        return len(self.policies) > 1

    @property
    def held(self) -> tuple[EffectivePolicy, ...]:
        """Return the policies that held for the queues in the period, in their order."""
        numbers = {number for numbers in self._definitions().values() for number in numbers}
        return tuple(self.policies[number] for number in sorted(numbers)) or self.policies[:1]

    @property
    def effective_request(self) -> Request:
        """Return the request with what all policies that held have in common, for rows of several queues."""
        common = {}
        for name in ("threshold_secs", "short_abandon_secs", "target", "variant"):
            values = {getattr(each, name) for each in self.held}
            if len(values) == 1:
                common[name] = values.pop()
        return replace(self.request, **common)

    def keys(self, by: Sequence[str]) -> tuple[Column, ...]:
        """Return the columns that say which definition a row is of; none where no queue has a policy of its own."""
        return _HELD if self.has_policies and "queue" in by else ()

    def table(self, by: Sequence[str]) -> pl.DataFrame:
        """Return every measure for each group, a complete spine of groups when `by` has intervals."""
        keys = [*by, "definition"] if self.has_policies and "queue" in by else list(by)
        aggregated, waits = aggregation.rolled_up(self.finest, keys), self._percentiles(keys)
        if keys:
            aggregated = self._complete(aggregated, keys).join(waits, on=keys, how="left", nulls_equal=True)
        else:
            aggregated = pl.concat([aggregated, waits], how="horizontal")
        rated = self._with_completeness(
            aggregation.with_rates(aggregated, self.effective_request.variant), self.visits, keys
        )
        if "definition" in keys:
            rated = self._with_policy_columns(rated)
        if self.spine is not None and "interval" in keys:
            rated = rated.join(self.spine.frame().lazy(), on="interval", how="left")
        return (rated.sort(keys, nulls_last=True) if keys else rated).with_columns(AS_TEXT).collect()

    def _percentiles(self, keys: Sequence[str]) -> pl.LazyFrame:
        by_queue = ["queue", "definition"] if self.has_policies else ["queue"]
        if keys and list(keys) != by_queue:
            # Visits come in order of time: by intervals first, there is little left to sort.
            return aggregation.percentiles(self.visits, sorted(keys, key=lambda name: name != "interval"))
        if not self.waits:
            waits = aggregation.waits(self.visits, by_queue)
            self.waits.update(
                {tuple(by_queue): waits.apart(aggregation.WANTED), (): waits.together(aggregation.WANTED)}
            )
        return self.waits[tuple(keys)].lazy()

    def merged(self) -> pl.DataFrame:
        """Return every measure for each queue, the visits of all its definitions together."""
        by = ["queue"]
        aggregated = self._complete(aggregation.rolled_up(self.finest, by), by)
        waits = self._percentiles(by)
        rated = aggregation.with_rates(
            aggregated.join(waits, on=by, how="left", nulls_equal=True), self.effective_request.variant
        )
        return rated.sort(by, nulls_last=True).with_columns(AS_TEXT).collect()

    def grouped(self, by: Sequence[Dimension]) -> pl.DataFrame:
        """Return every measure for each group of any dimensions, of the groups that occur."""
        visits = dimensions.numbered(self.visits, by).collect().lazy()
        names = [each.name for each in by]
        aggregated, waits = aggregation.aggregated(visits, names), aggregation.percentiles(visits, names)
        joined = aggregated.join(waits, on=names, how="left", nulls_equal=True)
        rated = self._with_completeness(aggregation.with_rates(joined, self.effective_request.variant), visits, names)
        return dimensions.labelled(rated.collect(), by).with_columns(AS_TEXT)

    def _with_completeness(self, rated: pl.LazyFrame, visits: pl.LazyFrame, keys: Sequence[str]) -> pl.LazyFrame:
        """Return the rows with how much of what their visits prove is known, and whether that is below the floor."""
        lacking = visits.filter(pl.col("missing") > 0)
        missing = pl.col("missing").sum().cast(pl.Int64)
        if keys:
            found = lacking.group_by(list(keys)).agg(missing)
            rated = rated.join(found, on=list(keys), how="left", nulls_equal=True)
        else:
            rated = pl.concat([rated, lacking.select(missing)], how="horizontal")
        rated = rated.with_columns(pl.col("missing").fill_null(0)).with_columns(COMPLETENESS.expr)
        return rated.with_columns(below_floor=pl.col("completeness") < self.request.completeness_floor)

    def over(self, spine: Spine) -> "Tables":
        """Return what makes tables of the same visits by other intervals."""
        mine = self.spine
        if mine is None or not set(spine.bounds[1:-1]) <= set(mine.bounds):
            return tables(self.visits, self.request, self.covered, spine)
        # Whole intervals of ours make one of those, so that nothing need be looked up or counted again.
        number = pl.lit(mine.frame().select(spine.position("interval_start").clip(0)).to_series())
        become = number.gather(pl.col("interval")).alias("interval")
        by = [name for name in ("queue", "definition", "interval") if name in self.finest.collect_schema()]
        finest = aggregation.rolled_up(self.finest.with_columns(become), by)
        return replace(self, visits=self.visits.with_columns(become), finest=finest, spine=spine, waits={})

    def _complete(self, aggregated: pl.LazyFrame, by: Sequence[str]) -> pl.LazyFrame:
        """Return the aggregates with a row of zeros for each queue asked for and each interval without visits."""
        definitions = self._definitions()
        numbered = self.finest.collect_schema()["queue"]
        groups = {"queue": pl.LazyFrame({"queue": self.queues}, schema={"queue": numbered})}
        if self.spine is not None:
            groups["interval"] = self.spine.frame().lazy().select("interval")
        every = groups[by[0]]
        for name in by[1:]:
            if name == "definition":
                pairs = [(queue, number) for queue, numbers in definitions.items() for number in numbers]
                schema: dict[str, Any] = {"queue": numbered, "definition": pl.Int32}
                every = every.join(pl.LazyFrame(pairs, schema=schema, orient="row"), on="queue", nulls_equal=True)
            else:
                every = every.join(groups[name], how="cross")
        if "definition" in by and "interval" in by:
            every = self._overlapping(every)
        sums = pl.selectors.exclude(*by, "longest_wait_ms")
        return every.join(aggregated, on=list(by), how="left", nulls_equal=True).with_columns(sums.fill_null(0))

    def _overlapping(self, every: pl.LazyFrame) -> pl.LazyFrame:
        assert self.spine is not None  # noqa: S101 -- for the type checker: there are intervals
        dated = every.join(self._policy_rows(), on="definition").join(self.spine.frame().lazy(), on="interval")
        starts = pl.col("since").is_null() | (pl.col("since") < pl.col("interval_end"))
        ends = pl.col("until").is_null() | (pl.col("until") > pl.col("interval_start"))
        return dated.filter(starts & ends).select("queue", "interval", "definition")

    def _with_policy_columns(self, rated: pl.LazyFrame) -> pl.LazyFrame:
        level = pl.col("service_level")
        for variant in {each.variant for each in self.policies}:
            level = pl.when(pl.col("variant") == variant).then(pl.col(f"service_level_{variant}")).otherwise(level)
        return rated.join(self._policy_rows(), on="definition", how="left").with_columns(service_level=level)

    def _policy_rows(self) -> pl.LazyFrame:
        rows = [
            (number, each.since, each.until, each.threshold_secs, each.target, each.variant)
            for number, each in enumerate(self.policies)
        ]
        schema: dict[str, Any] = {
            "definition": pl.Int32,
            "since": MOMENT,
            "until": MOMENT,
            "threshold_secs": pl.Float64,
            "target": pl.Float64,
            "variant": pl.String,
        }
        return pl.LazyFrame(rows, schema=schema, orient="row")

    def _definitions(self) -> dict[str | None, list[int]]:
        """Return for each queue the numbers of the policies that held in the period."""
        covered = self.covered
        found = {}
        for queue in self.queues:
            mine = [
                number
                for number, each in enumerate(self.policies)
                if queue is not None
                and each.queue == queue
                and (covered is None or each.overlaps(covered.from_, covered.to))
            ]
            found[queue] = mine or [0]
        return found


def tables(visits: pl.LazyFrame, request: Request, covered: Period | None, spine: Spine | None) -> Tables:
    """Return what makes the tables of these visits, by the intervals of `spine` where there is one."""
    # Every table needs the interval; it is looked up once.
    frame = visits if spine is None else visits.with_columns(interval=spine.position()).collect().lazy()
    policies = request.effective_policies
    by = ["queue", *(["definition"] if len(policies) > 1 else []), *(["interval"] if spine is not None else [])]
    finest = aggregation.aggregated(frame, by).collect()
    names = {*finest["queue"].unique().cast(pl.String), *request.queues}
    queues = sorted(names, key=lambda queue: (queue is None, queue or ""))
    if spine is not None:
        intervals.require_bounded(len(queues), spine)
    return Tables(request, covered, frame, finest.lazy(), spine, tuple(queues), policies)
