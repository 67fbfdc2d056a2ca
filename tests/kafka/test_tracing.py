"""Spans of what goes to Kafka and comes from it, where they are asked for."""

import asyncio
from uuid import uuid4

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from eventlog.kafka import address as kafka_address
from eventlog.kafka.connection import Connection
from eventlog.kafka.topics import Layout
from holdtime.service import tracing
from tests.support.logs import an_event, opened

pytestmark = pytest.mark.kafka


def test_every_record_is_a_span_that_the_batch_it_is_read_in_links_to(kafka: str) -> None:
    spans = InMemorySpanExporter()
    connection = Connection(
        kafka_address.servers(kafka),
        layout=Layout(partitions=1, prefix=f"{uuid4().hex}."),
        middlewares=tracing.to(SimpleSpanProcessor(spans)),
    )

    async def scenario() -> None:
        async with opened(connection) as log:
            for number in range(3):
                await log.append(an_event(number, session="+15550001234"))
            assert len(await asyncio.to_thread(log.read, {}, 10)) == 3

    asyncio.run(scenario())
    done = spans.get_finished_spans()
    published = [span for span in done if span.name == f"{connection.layout.events} publish"]
    assert len(published) == 3
    read = {link.context.trace_id for span in done for link in span.links}
    assert read == {span.context.trace_id for span in published if span.context}
    counts = [dict(span.attributes or {}).get("messaging.batch.message_count") for span in done if span.links]
    assert sum(count for count in counts if isinstance(count, int)) == 3
    assert {span.resource.attributes["service.name"] for span in done} == {"holdtime"}
