"""The metrics of the processors for Prometheus: every name with its meaning, in one list."""

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from eventlog.batch import Batch
from eventlog.log import DAMAGED
from processors.landing.landed import Landed
from warehouse.errors import Trouble


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's name on `/metrics` (Prometheus appends `_total` to counters) and its meaning for an operator."""

    name: str
    meaning: str


RECORDS_LANDED = Metric(
    "holdtime_records_landed",
    "Log records landed, by what became of them: event; duplicate, known already; rejected, kept with the reason.",
)
FACTS_WRITTEN = Metric("holdtime_facts_written", "Facts that are new or changed, by table.")
CONTRADICTIONS = Metric(
    "holdtime_contradictions",
    "Events that do not count because another content of their id does, of the entities that landed.",
)
LANDING_SECONDS = Metric("holdtime_landing_seconds", "Seconds to land a batch.")
BATCH_RECORDS = Metric("holdtime_batch_records", "Records of the batches that landed.")
FRESHNESS_SECONDS = Metric(
    "holdtime_freshness_seconds",
    "Seconds from receiving a record (200 to Telnyx) until it was visible in the warehouse. The replica comes later.",
)
LAG_RECORDS = Metric("holdtime_lag_records", "Records in the log that have not landed.")
REPLICA_AGE_SECONDS = Metric("holdtime_replica_published_timestamp_seconds", "When the replica was published last.")
FACTS_UNTOLD = Metric(
    "holdtime_facts_untold", "Changes of facts that have still to go to holdtime.facts.*; always 0 where none are told."
)
DAMAGED_RECORDS = Metric(
    "holdtime_damaged_records",
    "Records that the log could not give back as they came, since this process started: kept as rejected, not landed.",
)
STANDBY = Metric("holdtime_standby", "1 while another process has the warehouse and this one waits to take over.")
LANDING_AWAY = Metric(
    "holdtime_landing_away",
    f"1 while nothing lands, by why: {', '.join(Trouble)}.",
)
UNPUBLISHED = Metric(
    "holdtime_replica_failing", "1 while the last try to publish the replica failed; it is tried again by itself."
)
WAREHOUSE_RECOVERED = Metric(
    "holdtime_warehouse_recovered", "How often a damaged warehouse was set aside and made anew, since start."
)
CLOCK_OFF_SECONDS = Metric(
    "holdtime_clock_off_seconds",
    "How far the wall clock is ahead of the time that has passed in this process: it jumped, or was set. For an hour "
    "facts are not evaluated by a clock that is ahead.",
)
METRICS = (
    RECORDS_LANDED,
    FACTS_WRITTEN,
    CONTRADICTIONS,
    LANDING_SECONDS,
    BATCH_RECORDS,
    FRESHNESS_SECONDS,
    LAG_RECORDS,
    REPLICA_AGE_SECONDS,
    FACTS_UNTOLD,
    DAMAGED_RECORDS,
    STANDBY,
    LANDING_AWAY,
    UNPUBLISHED,
    WAREHOUSE_RECOVERED,
    CLOCK_OFF_SECONDS,
)

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
_SIZES = (1, 10, 100, 1_000, 10_000, 100_000)


class ProcessorMetrics:
    """The numbers themselves; one a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._records = Counter(*_told(RECORDS_LANDED), ["outcome"], registry=registry)
        self._facts = Counter(*_told(FACTS_WRITTEN), ["table"], registry=registry)
        self._contradictions = Counter(*_told(CONTRADICTIONS), registry=registry)
        self.landing_seconds = Histogram(*_told(LANDING_SECONDS), registry=registry, buckets=_SECONDS)
        self._batches = Histogram(*_told(BATCH_RECORDS), registry=registry, buckets=_SIZES)
        self._freshness = Histogram(*_told(FRESHNESS_SECONDS), registry=registry, buckets=_SECONDS)
        self.lag = Gauge(*_told(LAG_RECORDS), registry=registry)
        self.replica_at = Gauge(*_told(REPLICA_AGE_SECONDS), registry=registry)
        self.untold = Gauge(*_told(FACTS_UNTOLD), registry=registry)
        self._damaged = Gauge(*_told(DAMAGED_RECORDS), registry=registry)
        self.damaged_records = 0
        self.standby = Gauge(*_told(STANDBY), registry=registry)
        self._away = Gauge(*_told(LANDING_AWAY), ["why"], registry=registry)
        self.unpublished = Gauge(*_told(UNPUBLISHED), registry=registry)
        self.recovered = Counter(*_told(WAREHOUSE_RECOVERED), registry=registry)
        self.landing_away(None)
        self.clock_off = Gauge(*_told(CLOCK_OFF_SECONDS), registry=registry)
        for outcome in ("event", "duplicate", "rejected"):
            self._records.labels(outcome)  # dashboards see zeros, not gaps

    def landing_away(self, why: Trouble | None) -> None:
        """Say why nothing lands, or that it does (None)."""
        for each in Trouble:
            self._away.labels(each).set(each is why)

    def count(self, landed: Landed, batch: Batch, now: datetime) -> None:
        """Add one batch, which was visible at `now`."""
        self._records.labels("event").inc(landed.events)
        self._records.labels("duplicate").inc(landed.duplicates)
        self._records.labels("rejected").inc(landed.rejected)
        self._contradictions.inc(landed.contradictions)
        if landed.rejected:
            damaged = pc.sum(pc.equal(batch.table.column("rejection"), DAMAGED)).as_py()
            self.damaged_records += damaged or 0
            self._damaged.set(self.damaged_records)
        self._batches.observe(landed.records)
        received = batch.table.column("received_at").cast(pa.int64())
        # The oldest and the mean stand for all: to observe each of 100,000 would take longer than to land them.
        now_us = now.timestamp() * 1_000_000
        for at_us in (pc.min(received).as_py(), pc.mean(received).as_py()):
            self._freshness.observe(max(0.0, now_us - at_us) / 1_000_000)
        for table, rows in landed.facts.items():
            self._facts.labels(table).inc(rows)


def _told(metric: Metric) -> tuple[str, str]:
    return metric.name, metric.meaning
