"""`/asyncapi` and `/asyncapi.json`, as `holdtime ingest` and `holdtime process` serve them."""

import json
from pathlib import Path

import pytest

from processors.facts import FACTS
from tests.support.kafka.node import Nodes
from tests.support.waiting import until


@pytest.mark.parametrize("role", ["ingest", "process"])
def test_every_topic_is_on_the_page_and_in_the_document_and_the_page_fetches_nothing(tmp_path: Path, role: str) -> None:
    with Nodes.around(tmp_path, "127.0.0.1:9") as nodes:  # no cluster is needed to say what would be in it
        node = nodes.node(role)
        node.begin()
        until(lambda: bool(node.readiness()), lambda: node.words)
        document = json.loads(node.get("/asyncapi.json"))
        page = node.get("/asyncapi").decode()
    wanted = {"telnyx.events", "telnyx.events.rejected"}
    wanted |= {f"holdtime.facts.{fact.table.replace('_', '-')}" for fact in FACTS}
    assert {channel["address"] for channel in document["channels"].values()} == {nodes.prefix + each for each in wanted}
    assert all(f"<h2>{nodes.prefix}{each}</h2>" in page for each in wanted)
    assert "<td>wait_ms<td>integer or null<td>" in page
    assert not any(outside in page for outside in ("//", "<script", "<link", "<img"))
