"""How reconciling stands: in numbers for Prometheus, and in words for whoever asks."""

from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry

from reconciler.metrics import METRICS, ReconcilerMetrics
from reconciler.pace import Pace
from reconciler.status import ReconcilerStatus, SourceStatus
from simulator.api import Manners
from tests.support.reconciling import PLENTY, Center
from tests.support.worlds import a_world

AFTERWARDS = datetime(2026, 3, 2, 18, 20, tzinfo=UTC)


def test_every_metric_has_its_meaning_and_the_numbers_are_those_of_the_run(tmp_path: Path) -> None:
    center, pace = Center(tmp_path, AFTERWARDS), Pace(PLENTY)
    world = a_world(3)
    lost = {event.event_id for event in world.events[::9]}
    center.hear(world.events, lost)
    outcomes = {
        each.source: each
        for each in center.reconcile(
            center.account(world, lost), Manners(forbidden=frozenset({"recordings"})), pace=pace
        )
    }
    registry = CollectorRegistry()
    registry.register(ReconcilerMetrics(center.api, center.status))
    assert {family.name: family.documentation for family in registry.collect()} == {
        metric.name: metric.meaning for metric in METRICS
    }

    def number(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"holdtime_reconciler_{name}", labels)

    assert number("requests_total", endpoint="webhook_deliveries") == outcomes["webhook_deliveries"].requests
    assert number("found_total", source="webhook_deliveries") == len(world.events)
    assert number("published_total", source="webhook_deliveries") == len(lost)
    assert number("waited_seconds_total", why="budget") == 0
    assert number("source_skipped", source="recordings", why="forbidden") == 1
    assert number("source_skipped", source="recordings", why="failed") == 0
    assert number("source_success_timestamp_seconds", source="recordings") == 0
    assert number("source_success_timestamp_seconds", source="queues") == AFTERWARDS.timestamp()
    assert number("success_timestamp_seconds") == AFTERWARDS.timestamp()
    assert list(center.status.as_json()["skipped"]) == ["recordings"]  # type: ignore[call-overload]
    center.close()


def test_a_run_in_which_a_source_failed_is_no_success_and_one_that_may_not_be_used_is_no_failure() -> None:
    status = ReconcilerStatus({"queues": SourceStatus(), "recordings": SourceStatus(fault="403", forbidden=True)})
    status.sources["queues"].fault = "no answer"
    status.end(AFTERWARDS)
    assert status.succeeded_at is None
    status.sources["queues"].fault = None
    status.end(AFTERWARDS)
    assert status.succeeded_at == AFTERWARDS
    assert status.as_json()["skipped"] == {"recordings": "403"}


def test_nothing_that_may_be_used_is_no_success() -> None:
    status = ReconcilerStatus({"queues": SourceStatus(fault="403", forbidden=True)})
    status.end(AFTERWARDS)
    assert status.succeeded_at is None
