"""`holdtime up`: ingest, processor, replica and schedules in one process."""

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
import uvicorn
import uvloop

from holdtime.parts import Parts, opened, public_keys
from holdtime.settings import Settings
from ingest import app as ingest_app
from ingest.checker import Checker
from ingest.signature import UnusableKeyError, Verifier
from ingest.sqlite_log import PARTITION
from ingest.webhook import WebhookEndpoint
from processors.app import Processor
from warehouse.replica import publish

DRAIN = timedelta(seconds=10)
"""How long a stop waits for what is in flight, and then for what the log still holds."""

log = structlog.get_logger("holdtime")


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then finish what was begun and return.

    Raises ConfigurationError, with every fault in it, before anything has started; what stops the processor on its own
    is raised when the server has stopped.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(settings))


async def _run(settings: Settings) -> None:
    async with opened(settings) as parts:
        processor = Processor(
            reader=parts.log,
            landing=parts.landing,
            publish=partial(publish, parts.db, settings.environment.warehouse, settings.environment.replica),
            metrics=parts.processor_metrics,
            keep_landed=timedelta(days=settings.configuration.keep_log_days),
        )
        checker = Checker(Verifier(parts.keys))
        await checker.start()
        app = _app(parts, processor, checker)
        host, port = parts.listener.getsockname()[:2]
        config = ingest_app.serve_config(app, host=host, port=port, drain_s=int(DRAIN.total_seconds()))
        server = uvicorn.Server(config)

        def stop_serving(*_: object) -> None:
            app.stop_accepting()
            server.should_exit = True

        # uvicorn takes these signals only while it serves, and when it has shut down raises them again.
        for kind in (signal.SIGTERM, signal.SIGINT):
            signal.signal(kind, stop_serving)
        async with _processing(processor, stop_serving), _scheduling(settings):
            ready = asyncio.create_task(_tell_when_ready(server, parts))
            await server.serve(sockets=[parts.listener])
            ready.cancel()
            await checker.close()


def _app(parts: Parts, processor: Processor, checker: Checker) -> ingest_app.IngestApp:
    endpoint = WebhookEndpoint(
        verifier=Verifier(parts.keys), signer=checker.signer, appender=parts.log, metrics=parts.ingest_metrics
    )
    return ingest_app.build(
        endpoint,
        registry=parts.registry,
        unready=partial(_unready, processor),
        status=partial(_status, parts, processor),
    )


@asynccontextmanager
async def _processing(processor: Processor, stop_serving: Callable[[], None]) -> AsyncIterator[None]:
    """Run the processor in a thread; if it ends of itself, stop serving too, and raise what ended it."""
    stop = threading.Event()
    processing = asyncio.create_task(asyncio.to_thread(processor.run, stop, drain_for=DRAIN))
    processing.add_done_callback(lambda _: stop_serving())
    try:
        yield
    finally:
        stop.set()
        await processing


@asynccontextmanager
async def _scheduling(settings: Settings) -> AsyncIterator[None]:
    """Send the summaries that are due, in a thread, where there are any; raise what ended it once all has stopped."""
    if not settings.configuration.schedule:
        yield
        return
    from holdtime.schedules import runner  # noqa: PLC0415 - most of what it needs is needed by nothing else

    stop = threading.Event()
    sending = asyncio.create_task(asyncio.to_thread(runner.stand_by, settings, stop))
    try:
        yield
    finally:
        stop.set()
        await sending


async def _tell_when_ready(server: uvicorn.Server, parts: Parts) -> None:
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    host, port = parts.listener.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    log.info("taking_deliveries", url=address + ingest_app.WEBHOOK_PATH)


def key_faults() -> list[str]:
    """What is wrong with the public keys in the environment, without which nothing can be believed."""
    try:
        public_keys(os.environ.get("TELNYX_PUBLIC_KEY", ""))
    except UnusableKeyError as error:
        return [str(error)]
    return []


def _unready(processor: Processor) -> str | None:
    return None if processor.progress.replica_at else "the warehouse is still being opened"


def _status(parts: Parts, processor: Processor) -> dict[str, object]:
    progress = processor.progress
    end = parts.log.end().get(PARTITION, 0)
    landed = progress.landed.get(PARTITION, 0)
    return {
        "log_end": end,
        "landed": landed,
        "lag_events": end - landed,
        "last_landed_at": _iso(progress.last_landed_at),
        "replica_at": _iso(progress.replica_at),
    }


def _iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat() if at else None
