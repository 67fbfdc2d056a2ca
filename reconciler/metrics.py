"""The reconciler's metrics: every name with its meaning, in one list."""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as PrometheusMetric
from prometheus_client.registry import Collector

from reconciler.api import Api
from reconciler.status import ReconcilerStatus


@dataclass(frozen=True, slots=True)
class ReconcilerMetric:
    """A metric's name on `/metrics` (Prometheus appends `_total` to counters) and its meaning for an operator."""

    name: str
    meaning: str


REQUESTS = ReconcilerMetric("holdtime_reconciler_requests", "Requests to Telnyx's API, repeated ones too, by endpoint.")
WAITED_SECONDS = ReconcilerMetric(
    "holdtime_reconciler_waited_seconds",
    "Seconds that requests had to wait, by why: budget, [reconciler] requests_a_minute was spent; limit, Telnyx wanted "
    "none before its reset; failure, after one.",
)
FOUND = ReconcilerMetric("holdtime_reconciler_found", "Events that a source gave, known ones too.")
PUBLISHED = ReconcilerMetric(
    "holdtime_reconciler_published", "Events that a source gave and nobody had told: now in the log."
)
SUCCEEDED = ReconcilerMetric(
    "holdtime_reconciler_source_success_timestamp_seconds",
    "When a source was last read to its end by this process; 0 until then.",
)
SKIPPED = ReconcilerMetric(
    "holdtime_reconciler_source_skipped",
    "1 for a source that the last run did not read to its end, by why: forbidden, the account may not use it; failed.",
)
RUN_SUCCEEDED = ReconcilerMetric(
    "holdtime_reconciler_success_timestamp_seconds",
    "When a run last read every source that may be used to its end; 0 until then. Older than a few hours: see the log.",
)
METRICS = (REQUESTS, WAITED_SECONDS, FOUND, PUBLISHED, SUCCEEDED, SKIPPED, RUN_SUCCEEDED)


class ReconcilerMetrics(Collector):
    """Gives the numbers as they are when Prometheus asks."""

    def __init__(self, api: Api, status: ReconcilerStatus) -> None:
        self._api, self._status = api, status

    def collect(self) -> Iterator[PrometheusMetric]:
        """Give the numbers as Prometheus's client wants them."""
        requests = CounterMetricFamily(REQUESTS.name, REQUESTS.meaning, labels=["endpoint"])
        for endpoint, count in dict(self._api.requests).items():
            requests.add_metric([endpoint], count)
        waited = CounterMetricFamily(WAITED_SECONDS.name, WAITED_SECONDS.meaning, labels=["why"])
        for why, seconds in self._api.pace.waited_s.items():
            waited.add_metric([why], seconds)
        found = CounterMetricFamily(FOUND.name, FOUND.meaning, labels=["source"])
        published = CounterMetricFamily(PUBLISHED.name, PUBLISHED.meaning, labels=["source"])
        succeeded = GaugeMetricFamily(SUCCEEDED.name, SUCCEEDED.meaning, labels=["source"])
        skipped = GaugeMetricFamily(SKIPPED.name, SKIPPED.meaning, labels=["source", "why"])
        for name, each in self._status.sources.items():
            found.add_metric([name], each.read)
            published.add_metric([name], each.published)
            succeeded.add_metric([name], each.succeeded_at.timestamp() if each.succeeded_at else 0)
            skipped.add_metric([name, "forbidden"], each.forbidden)
            skipped.add_metric([name, "failed"], each.fault is not None and not each.forbidden)
        at = self._status.succeeded_at
        yield from (requests, waited, found, published, succeeded, skipped)
        yield GaugeMetricFamily(RUN_SUCCEEDED.name, RUN_SUCCEEDED.meaning, value=at.timestamp() if at else 0)
