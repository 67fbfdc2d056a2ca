"""The alarm rules that are shipped, against the metrics that there are and the page that says what to do."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from telnyx import AsyncTelnyx

from ingest.metrics import HttpMetrics, IngestMetrics
from processors.metrics import ProcessorMetrics
from reconciler.api import Api
from reconciler.metrics import ReconcilerMetrics
from reconciler.sources.registry import ORIGINALS, STATES
from reconciler.status import ReconcilerStatus, SourceStatus

DOCS = Path(__file__).parents[3] / "docs"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((DOCS / "alarms.yml").read_text())["groups"] for rule in group["rules"]
]
NAMES = [rule["alert"] for rule in RULES]


def samples() -> dict[str, list[dict[str, str]]]:
    """Every series' name on `/metrics`, with the labels that it has from the start."""
    registry = CollectorRegistry()
    IngestMetrics(registry)
    HttpMetrics(registry)
    ProcessorMetrics(registry)
    standing = ReconcilerStatus({source.name: SourceStatus() for source in ORIGINALS + STATES})
    registry.register(ReconcilerMetrics(Api(AsyncTelnyx(api_key="none is asked")), standing))
    found: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_a_rule_is_about_series_and_labels_that_there_are(rule: dict[str, Any]) -> None:
    known = samples()
    named = re.findall(r"(holdtime_\w+)(?:\{(\w+)=~?\"([^\"]+)\"\})?", rule["expr"])
    assert named
    for series, label, values in named:
        assert series in known
        for value in values.split("|") if values else ():
            assert value in {labels.get(label) for labels in known[series]}


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_a_rule_has_what_prometheus_wants_and_says_what_is_wrong(rule: dict[str, Any]) -> None:
    assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["expr"].count("(") == rule["expr"].count(")")
    assert re.fullmatch(r"\d+m", rule.get("for", "1m"))
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"].endswith(".")


def test_no_two_rules_have_one_name_and_the_page_says_of_each_what_to_do() -> None:
    told = re.findall(r"^\| `([A-Z][a-z]+[A-Z]?\w*)` \|", (DOCS / "operations.md").read_text(), re.MULTILINE)
    assert told == NAMES
