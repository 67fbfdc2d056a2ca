"""holdtime's ingest as it is deployed: verified, durable, counted."""

import base64
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from nacl.signing import VerifyKey
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from eventlog.sqlite.log import SqliteLog
from ingest.app import build
from ingest.metrics import IngestMetrics
from ingest.signing.checker import Checker
from ingest.signing.signature import Verifier
from ingest.webhook import WebhookEndpoint

registry = CollectorRegistry()
metrics = IngestMetrics(registry)
log = SqliteLog(Path(os.environ["BENCH_LOG"]), on_commit=metrics.group_committed)
verifier = Verifier((VerifyKey(base64.b64decode(os.environ["BENCH_PUBLIC_KEY"])),))


@contextlib.asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Hold the log open while serving."""
    await log.start()
    checker = Checker(verifier)
    await checker.start()
    endpoint.matching_key = checker.matching_key
    yield
    await checker.close()
    await log.close()


endpoint = WebhookEndpoint(verifier=verifier, appender=log, metrics=metrics)
app = build(
    endpoint,
    registry=registry,
    unready=lambda: None,
    status=dict,
    lifespan=lifespan,
)
