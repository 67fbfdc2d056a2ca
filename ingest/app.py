"""The HTTP application around the webhook endpoint, and how uvicorn serves it."""

import asyncio
import atexit
import contextlib
import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import cast

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from uvicorn import Config
from uvicorn.server import ServerState

from ingest.http.connections import Connections
from ingest.http.limits import Limits
from ingest.http.protocol import HttpConnection
from ingest.http.turns import Turns
from ingest.metrics import HttpMetrics
from ingest.pages import Page, PageTurn
from ingest.site import Site
from ingest.webhook import WebhookEndpoint

_SWITCH_INTERVAL_S = 0.0005
"""How long another thread may hold the interpreter, which the event loop releases at every signature that it checks.

Beside one busy Python thread, Python's 5 ms gave 500 deliveries/s and a p99 of 240 ms; this gives 1,000/s and 60 ms.
"""

_YOUNG_OBJECTS = 50_000
"""How many new objects make Python look for cycles: deliveries in flight make thousands of objects without a cycle.

With Python's 700, the search took an eighth of the time of a delivery.
"""

Lifespan = Callable[[Starlette], contextlib.AbstractAsyncContextManager[None]]


def favour_the_loop() -> None:
    """Have this process's interpreter serve its event loop first."""
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    gc.freeze()  # today's objects stay
    atexit.register(gc.unfreeze)  # DuckDB writes to standard error about objects that are never collected
    gc.set_threshold(_YOUNG_OBJECTS)


def build(
    webhook: WebhookEndpoint | None,
    *,
    registry: CollectorRegistry,
    unready: Callable[[], str | None],
    status: Callable[[], Mapping[str, object]],
    pages: Mapping[str, Callable[[Request], Response]] | None = None,
    lifespan: Lifespan | None = None,
    hosts: Sequence[str] = (),
    admin_port: int | None = None,
) -> Site:
    """Put the application together; without an endpoint it takes no deliveries.

    `unready` returns why deliveries should not be sent here now, or None. `status` returns the JSON of `/status`.
    `pages` are more pages, by path. All of these run in a thread, so they may block for a moment. `lifespan` is the
    wiring's context around the serving. `hosts` and `admin_port`: see Site.
    """

    async def livez(_: Request) -> Response:
        return PlainTextResponse("alive\n")

    def readyz(_: Request) -> Response:
        reason = unready() if site.accepting else "shutting down"
        if reason is None:
            return PlainTextResponse("ready\n")
        return PlainTextResponse(f"not ready: {reason}\n", status_code=503)

    def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    def show_status(_: Request) -> Response:
        return JSONResponse(dict(status()))

    turn = PageTurn()
    shown = {"/metrics": metrics, "/status": show_status, **(pages or {})}
    answers: dict[str, Callable[[Request], Awaitable[Response]]] = {
        "/livez": livez,
        "/readyz": Page(readyz, PageTurn()),
    }
    answers |= {path: Page(page, turn) for path, page in shown.items()}
    routes = [Route(path, _endpoint(answer)) for path, answer in answers.items()]

    @contextlib.asynccontextmanager
    async def serving(app: Starlette) -> AsyncIterator[None]:
        favour_the_loop()
        async with lifespan(app) if lifespan else contextlib.nullcontext():
            yield

    shell = Starlette(routes=routes, lifespan=serving)
    shell.router.redirect_slashes = False  # a webhook sender must never meet a 3xx
    site = Site(webhook, shell, paths=shown, metrics=HttpMetrics(registry), hosts=hosts, admin_port=admin_port)
    return site


def _endpoint(answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Return the page as a function: Starlette takes any other callable for an ASGI application."""

    async def endpoint(request: Request) -> Response:
        return await answer(request)

    return endpoint


def serve_config(
    site: Site,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    limits: Limits | None = None,
    drain_s: int | None = 10,
    backlog: int = 2048,
) -> Config:
    """Return the uvicorn settings that holdtime serves with; logging is left to the caller.

    `host` and `port` are for a server without bound sockets. `drain_s` is how long a shutdown waits for requests in
    flight. uvicorn brings the server, the lifespan and the signals; the connections are ours.
    """
    connections, turns = Connections(limits or Limits(), site.metrics), Turns()

    def connection(*, server_state: ServerState, **_: object) -> HttpConnection:
        return HttpConnection(
            app=site,
            site=site,
            connections=connections,
            turns=turns,
            metrics=site.metrics,
            ours=server_state.connections,
            tasks=server_state.tasks,
        )

    return Config(
        site,
        interface="asgi3",
        host=host,
        port=port,
        loop="uvloop",
        http=cast("type[asyncio.Protocol]", connection),  # it is called, and nothing else
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        backlog=backlog,
        timeout_graceful_shutdown=drain_s,
    )
