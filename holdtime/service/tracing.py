"""Tracing, for those who want it: FastStream's own OpenTelemetry middleware around every record that goes to Kafka."""

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

# The extra `tracing` brings what is imported here.
# ruff: noqa: PLC0415


@cache
def middlewares() -> tuple[Any, ...]:
    """Return the middlewares of every broker of this process. OpenTelemetry's variables say where spans go.

    Raises ValueError where the extra is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise ValueError("[kafka] tracing is true: install holdtime[tracing], or set it to false") from None
    return to(BatchSpanProcessor(OTLPSpanExporter()))


def to(processor: "SpanProcessor") -> tuple[Any, ...]:
    """The middleware that hands its spans to the processor.

    They hold topics, event ids, keys and sizes, and nothing of what a body says.
    """
    from faststream.kafka.opentelemetry import KafkaTelemetryMiddleware
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: "holdtime"}))
    provider.add_span_processor(processor)
    return (KafkaTelemetryMiddleware(tracer_provider=provider),)
