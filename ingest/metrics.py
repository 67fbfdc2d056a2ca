"""What ingest counts, for Prometheus: every name with its meaning, in one list."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as PrometheusMetric
from prometheus_client.registry import Collector

from ingest.signature import Distrust


class Outcome(StrEnum):
    """How a delivery ended. Every delivery ends in exactly one of these."""

    ACCEPTED = "accepted"
    MISSING = Distrust.MISSING
    MALFORMED = Distrust.MALFORMED
    STALE = Distrust.STALE
    FORGED = Distrust.FORGED
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    WRONG_METHOD = "wrong_method"
    OVERLOADED = "overloaded"
    UNAVAILABLE = "unavailable"
    DISCONNECTED = "disconnected"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's name on `/metrics` (Prometheus appends `_total` to counters) and what it tells an operator."""

    name: str
    meaning: str


DELIVERIES = Metric(
    "holdtime_ingest_deliveries",
    "Deliveries by outcome: accepted is durable in the log; stale is authentic, kept as rejected, more than 300 s off; "
    "forged was signed by none of our keys; overloaded and unavailable were told to come again.",
)
AUTHENTIC_BY_KEY = Metric(
    "holdtime_ingest_authentic_by_key",
    "Authentic deliveries by the public key that signed them, 1 is the newest. "
    "After a rotation, drop the old key when its count stands still.",
)
APPEND_SECONDS = Metric(
    "holdtime_ingest_append_seconds",
    "Seconds from handing a record to the log until it was durable. Telnyx gives up on a delivery after 2 s.",
)
GROUP_RECORDS = Metric(
    "holdtime_ingest_group_records",
    "Records made durable by one commit of the SQLite log. One each under load means that groups do not form.",
)
CLOCK_SKEW_SECONDS = Metric(
    "holdtime_ingest_clock_skew_seconds",
    "Our clock minus the sender's, at the latest authentic delivery; includes its travel. Beyond 300 s all are stale.",
)
SPOOL_RECORDS = Metric(
    "holdtime_ingest_spool_records",
    "Deliveries that wait in the spool for the Kafka cluster; always 0 where there is no spool.",
)
METRICS = (DELIVERIES, AUTHENTIC_BY_KEY, APPEND_SECONDS, GROUP_RECORDS, CLOCK_SKEW_SECONDS, SPOOL_RECORDS)

_APPEND_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5)
_GROUP_BOUNDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class _Buckets:
    """A histogram in the making: how many values fell under each bound, and their sum."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def family(self, metric: Metric) -> HistogramMetricFamily:
        names = [*(repr(float(bound)) for bound in self._bounds), "+Inf"]
        up_to = list(zip(names, accumulate(map(float, self._counts)), strict=True))
        return HistogramMetricFamily(metric.name, metric.meaning, buckets=up_to, sum_value=self._sum)


class IngestMetrics(Collector):
    """The numbers themselves, registered in the given registry.

    Plain integers, changed on the event loop only, become Prometheus's objects when they are asked for: its own
    counters take a lock each time, 4 us a delivery in all. Every label exists from the start, so that a dashboard sees
    zeros, not gaps.
    """

    def __init__(self, registry: CollectorRegistry, *, keys: int = 1) -> None:
        """Count for `keys` public keys."""
        self._deliveries = dict.fromkeys(Outcome, 0)
        self._by_key = [0] * keys
        self._append = _Buckets(_APPEND_BOUNDS)
        self._groups = _Buckets(_GROUP_BOUNDS)
        self._skew_us = 0
        self.spooled: Callable[[], int] = lambda: 0
        """How many deliveries wait in the spool, for a log that has one."""
        registry.register(self)

    def delivery_ended(self, outcome: Outcome) -> None:
        """Count one delivery."""
        self._deliveries[outcome] += 1

    def authenticated(self, place: int, skew_us: int) -> None:
        """Count an authentic delivery for the key at `place`, and note how far our clock is ahead of its signature."""
        self._by_key[place] += 1
        self._skew_us = skew_us

    def appended(self, seconds: float) -> None:
        """Note how long a record took to become durable."""
        self._append.add(seconds)

    def group_committed(self, records: int) -> None:
        """Note how many records one commit made durable."""
        self._groups.add(records)

    def collect(self) -> Iterator[PrometheusMetric]:
        """Give the numbers as Prometheus's client wants them."""
        deliveries = CounterMetricFamily(DELIVERIES.name, DELIVERIES.meaning, labels=["outcome"])
        for outcome, count in self._deliveries.items():
            deliveries.add_metric([outcome.value], count)
        by_key = CounterMetricFamily(AUTHENTIC_BY_KEY.name, AUTHENTIC_BY_KEY.meaning, labels=["key"])
        for place, count in enumerate(self._by_key, start=1):
            by_key.add_metric([str(place)], count)
        yield deliveries
        yield by_key
        yield self._append.family(APPEND_SECONDS)
        yield self._groups.family(GROUP_RECORDS)
        yield GaugeMetricFamily(CLOCK_SKEW_SECONDS.name, CLOCK_SKEW_SECONDS.meaning, value=self._skew_us / 1_000_000)
        yield GaugeMetricFamily(SPOOL_RECORDS.name, SPOOL_RECORDS.meaning, value=self.spooled())
