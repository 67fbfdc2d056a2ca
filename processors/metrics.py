"""What the processors tell Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from processors.landing import Landed


class ProcessorMetrics:
    """Counters of what landed; one a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._records = Counter(
            "holdtime_records_landed", "Log records landed, by what became of them", ["outcome"], registry=registry
        )
        self._facts = Counter(
            "holdtime_facts_written", "Facts that are new or changed, by table", ["table"], registry=registry
        )
        self._contradictions = Counter(
            "holdtime_contradictions",
            "Events that do not count because another content of their id does, of the entities that landed",
            registry=registry,
        )
        self.landing_seconds = Histogram(
            "holdtime_landing_seconds",
            "Time to land a batch",
            registry=registry,
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )

    def count(self, landed: Landed) -> None:
        """Add one batch."""
        self._records.labels("event").inc(landed.events)
        self._records.labels("duplicate").inc(landed.duplicates)
        self._records.labels("rejected").inc(landed.rejected)
        self._contradictions.inc(landed.contradictions)
        for table, rows in landed.facts.items():
            self._facts.labels(table).inc(rows)
