"""The metrics of ingest, for Prometheus: every name with its meaning, in one list."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as PrometheusMetric
from prometheus_client.registry import Collector

from ingest.signing.signature import Distrust


class DeliveryOutcome(StrEnum):
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


class Shed(StrEnum):
    """Why holdtime ended a connection, other than after its answer."""

    FULL = "full"
    """Too many connections: this one was the oldest that waited."""
    ADDRESS_FULL = "address_full"
    """Too many from its address."""
    REFUSED = "refused"
    """The connection was new, and all others were being answered."""
    BYTES = "bytes"
    """Too many unfinished bytes: the connection was the oldest that held some."""
    HEAD_LATE = "head_late"
    BODY_LATE = "body_late"
    """The body was not complete in time, or came too slowly."""
    READER_LATE = "reader_late"
    """The client did not read its answer."""
    CLOSING_LATE = "closing_late"
    """The client neither read nor closed, after the last answer."""
    IDLE = "idle"
    """No request came for so long."""


@dataclass(frozen=True, slots=True)
class IngestMetric:
    """A metric's name on `/metrics` (Prometheus appends `_total` to counters) and its meaning to an operator."""

    name: str
    meaning: str


DELIVERIES = IngestMetric(
    "holdtime_ingest_deliveries",
    "Deliveries by outcome: accepted is durable in the log; stale is authentic, kept as rejected, more than 300 s off; "
    "forged was signed by none of our keys; overloaded and unavailable were told to come again.",
)
AUTHENTIC_BY_KEY = IngestMetric(
    "holdtime_ingest_authentic_by_key",
    "Authentic deliveries by the public key that signed them, 1 is the newest. "
    "After a rotation, drop the old key when its count stands still.",
)
APPEND_SECONDS = IngestMetric(
    "holdtime_ingest_append_seconds",
    "Seconds from handing a record to the log until it was durable. Telnyx gives up on a delivery after 2 s.",
)
GROUP_RECORDS = IngestMetric(
    "holdtime_ingest_group_records",
    "Records made durable by one commit of the SQLite log. One each under load means that groups do not form.",
)
CLOCK_SKEW_SECONDS = IngestMetric(
    "holdtime_ingest_clock_skew_seconds",
    "Our clock minus the sender's, at the latest authentic delivery; includes its travel. Beyond 300 s all are stale.",
)
SPOOL_RECORDS = IngestMetric(
    "holdtime_ingest_spool_records",
    "Deliveries that wait in the spool for the Kafka cluster; always 0 where there is no spool.",
)
CONNECTIONS = IngestMetric("holdtime_http_connections", "Open connections, of all clients and on all addresses.")
CONNECTIONS_SHED = IngestMetric(
    "holdtime_http_connections_shed",
    "Connections that holdtime ended, by why: full, address_full, refused and bytes when there was too much; "
    "head_late, body_late, reader_late and closing_late when the client took too long; idle when no request came.",
)
REQUESTS_REFUSED = IngestMetric(
    "holdtime_http_requests_refused",
    "Requests that were refused before they reached anything, by status. Refused deliveries are in "
    "holdtime_ingest_deliveries.",
)
METRICS = (
    DELIVERIES,
    AUTHENTIC_BY_KEY,
    APPEND_SECONDS,
    GROUP_RECORDS,
    CLOCK_SKEW_SECONDS,
    SPOOL_RECORDS,
    CONNECTIONS,
    CONNECTIONS_SHED,
    REQUESTS_REFUSED,
)

REFUSALS = (400, 404, 405, 408, 413, 414, 421, 431, 501, 503, 505)
"""Statuses with which a request is refused."""

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

    def family(self, metric: IngestMetric) -> HistogramMetricFamily:
        names = [*(repr(float(bound)) for bound in self._bounds), "+Inf"]
        up_to = list(zip(names, accumulate(map(float, self._counts)), strict=True))
        return HistogramMetricFamily(metric.name, metric.meaning, buckets=up_to, sum_value=self._sum)


class IngestMetrics(Collector):
    """The numbers themselves, registered in the given registry.

    The numbers are plain integers, changed on the event loop only, and become Prometheus's objects when they are
    collected: its own counters take a lock each time, 4 us a delivery in all. Every label exists from the start, so
    that a dashboard sees zeros, not gaps.
    """

    def __init__(self, registry: CollectorRegistry, *, keys: int = 1, spooled: Callable[[], int] = lambda: 0) -> None:
        """Count for `keys` public keys; `spooled` says how many deliveries wait in the spool."""
        self._deliveries = dict.fromkeys(DeliveryOutcome, 0)
        self._by_key = [0] * keys
        self._append = _Buckets(_APPEND_BOUNDS)
        self._groups = _Buckets(_GROUP_BOUNDS)
        self._skew_us = 0
        self._spooled = spooled
        registry.register(self)

    def delivery_ended(self, outcome: DeliveryOutcome) -> None:
        """Count one delivery."""
        self._deliveries[outcome] += 1

    def authenticated(self, index: int, skew_us: int) -> None:
        """Count an authentic delivery for the key at `index`, and note how far our clock is ahead of its signature."""
        self._by_key[index] += 1
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
        for number, count in enumerate(self._by_key, start=1):
            by_key.add_metric([str(number)], count)
        yield deliveries
        yield by_key
        yield self._append.family(APPEND_SECONDS)
        yield self._groups.family(GROUP_RECORDS)
        yield GaugeMetricFamily(CLOCK_SKEW_SECONDS.name, CLOCK_SKEW_SECONDS.meaning, value=self._skew_us / 1_000_000)
        yield GaugeMetricFamily(SPOOL_RECORDS.name, SPOOL_RECORDS.meaning, value=self._spooled())


class HttpMetrics(Collector):
    """The numbers of the connections, registered in the given registry; changed on the event loop only."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Begin with zeros."""
        self.connections: Callable[[], int] = lambda: 0
        self._shed = dict.fromkeys(Shed, 0)
        self._refused = dict.fromkeys(REFUSALS, 0)
        registry.register(self)

    def shed(self, why: Shed) -> None:
        """Count a connection that was ended."""
        self._shed[why] += 1

    def refused(self, status: int) -> None:
        """Count a request that was refused."""
        self._refused[status] += 1

    def collect(self) -> Iterator[PrometheusMetric]:
        """Give the numbers as Prometheus's client wants them."""
        yield GaugeMetricFamily(CONNECTIONS.name, CONNECTIONS.meaning, value=self.connections())
        shed = CounterMetricFamily(CONNECTIONS_SHED.name, CONNECTIONS_SHED.meaning, labels=["why"])
        for why, count in self._shed.items():
            shed.add_metric([why.value], count)
        yield shed
        refused = CounterMetricFamily(REQUESTS_REFUSED.name, REQUESTS_REFUSED.meaning, labels=["status"])
        for status, count in self._refused.items():
            refused.add_metric([str(status)], count)
        yield refused
