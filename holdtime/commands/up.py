"""Serving: `holdtime up`, which does everything in one process, and `ingest` and `process`, which do one thing each."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
import uvicorn
import uvloop

from holdtime.config.settings import Settings
from holdtime.service.background import (
    beating,
    reconciling,
    scheduling,
)
from holdtime.service.components import Components, opened
from holdtime.service.listeners import url_of
from holdtime.service.service import DRAIN, Service
from holdtime.service.topics import Topics
from ingest import app as ingest_app
from ingest.signing.checker import Checker
from ingest.signing.signature import Verifier
from ingest.site import WEBHOOK_PATH
from ingest.webhook import WebhookEndpoint

log = structlog.get_logger("holdtime")


def run(settings: Settings, *, ingests: bool = True, lands: bool = True) -> None:
    """Serve until SIGTERM or SIGINT, then finish what was begun and return.

    Raises ConfigurationError, with every fault in it, before anything has started. Landing resumes by itself after any
    error (`holdtime.service.supervisor`), and waits while another process has the warehouse.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(settings, ingests=ingests, lands=lands))


async def _run(settings: Settings, *, ingests: bool, lands: bool) -> None:
    waits = lands and not ingests
    async with opened(settings, ingests=ingests, lands=lands and not waits) as components, AsyncExitStack() as stack:
        service = Service(settings, components, ingests, lands)
        topics = Topics(settings)
        pages = {"/asyncapi": topics.page, "/asyncapi.json": topics.document}
        endpoint = await _endpoint(components, stack) if ingests else None
        app = ingest_app.build(
            endpoint,
            registry=components.registry,
            unready=service.unready,
            status=service.status,
            pages=pages,
            hosts=settings.configuration.http.hosts,
            admin_port=components.listeners.admin_port,
        )
        config = ingest_app.serve_config(app, limits=components.limits, drain_s=int(DRAIN.total_seconds()))
        server = uvicorn.Server(config)

        def stop_serving(*_: object) -> None:
            app.stop_accepting()
            server.should_exit = True

        # uvicorn takes these signals only while it serves, and when it has shut down raises them again.
        for kind in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(kind, stop_serving)
        async with _processing(service, stop_serving), scheduling(service), reconciling(service), beating(service):
            ready = asyncio.create_task(_log_when_ready(server, service))
            await server.serve(sockets=components.listeners.sockets)
            ready.cancel()


async def _endpoint(components: Components, stack: AsyncExitStack) -> WebhookEndpoint:
    verifier = Verifier(components.keys)
    checker = Checker(verifier)
    await checker.start()
    stack.push_async_callback(checker.close)
    stack.callback(components.refusals.report)
    return WebhookEndpoint(
        verifier=verifier,
        matching_key=checker.matching_key,
        appender=components.log,
        metrics=components.ingest_metrics,
        refusals=components.refusals,
    )


@asynccontextmanager
async def _processing(service: Service, stop_serving: Callable[[], None]) -> AsyncIterator[None]:
    """Land while the server serves, where this process lands; if landing ends by itself, stop serving too."""
    if not service.lands:
        yield
        return
    await service.supervisor.look_back()
    processing = asyncio.create_task(service.process())
    processing.add_done_callback(lambda _: stop_serving())
    try:
        yield
    finally:
        service.stop.set()
        await processing


async def _log_when_ready(server: uvicorn.Server, service: Service) -> None:
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    listeners = service.components.listeners
    admin = {} if listeners.admin is None else {"admin": url_of(listeners.admin)}
    if service.ingests:
        log.info("taking_deliveries", url=url_of(listeners.public) + WEBHOOK_PATH, **admin)
    else:
        log.info("serving", url=url_of(listeners.public), **admin)
