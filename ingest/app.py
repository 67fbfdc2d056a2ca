"""The HTTP application around the webhook endpoint, and how uvicorn serves it."""

import atexit
import contextlib
import gc
import sys
from collections.abc import Awaitable, Callable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config

from ingest.connection import BoundedConnection
from ingest.webhook import WebhookEndpoint

WEBHOOK_PATH = "/webhooks/telnyx"

_SWITCH_INTERVAL_S = 0.0005
"""How long another thread may keep the interpreter from the event loop, which gives it up at every signature it checks.

Beside one busy Python thread, Python's 5 ms measured 500 deliveries/s and a p99 of 240 ms; this 1,000/s and 60 ms.
"""

_YOUNG_OBJECTS = 50_000
"""How many objects are made before Python looks for cycles among them; deliveries in flight are thousands, without any.

With Python's 700, that took an eighth of the time of a delivery.
"""

Lifespan = Callable[[Starlette], contextlib.AbstractAsyncContextManager[None]]


class IngestApp:
    """The outermost ASGI callable: deliveries go straight to their endpoint, everything else to Starlette."""

    def __init__(self, webhook: WebhookEndpoint | None, shell: ASGIApp) -> None:
        """Join the endpoint, where this process has one, and the shell."""
        self._webhook = webhook
        self._shell = shell
        self.accepting = True

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one ASGI scope."""
        if self._webhook and scope["type"] == "http" and scope["path"] == WEBHOOK_PATH:
            return self._webhook(scope, receive, send)
        if scope["type"] == "lifespan":
            favour_the_loop()
        return self._shell(scope, receive, send)

    def stop_accepting(self) -> None:
        """Answer new deliveries with 503 and Retry-After from now on; those in flight are finished."""
        self.accepting = False
        if self._webhook:
            self._webhook.accepting = False


def favour_the_loop() -> None:
    """Have this process's interpreter serve its event loop first."""
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    gc.freeze()  # what is here now stays
    atexit.register(gc.unfreeze)  # of what nobody collects before the process ends, DuckDB complains on standard error
    gc.set_threshold(_YOUNG_OBJECTS)


def build(
    webhook: WebhookEndpoint | None,
    *,
    registry: CollectorRegistry,
    unready: Callable[[], str | None],
    status: Callable[[], Mapping[str, object]],
    pages: Mapping[str, Callable[[Request], Response]] | None = None,
    lifespan: Lifespan | None = None,
) -> IngestApp:
    """Put the application together; without an endpoint it takes no deliveries.

    `unready` says why deliveries should not be sent here now, or None. `status` is the JSON of `/status`; its values
    are what JSON can hold. Both run in a thread, so they may block for a moment, and so do `pages`, by path. `lifespan`
    opens and closes what the wiring needs around the serving.
    """

    async def livez(_: Request) -> Response:
        return PlainTextResponse("alive\n")

    def readyz(_: Request) -> Response:
        reason = unready() if app.accepting else "shutting down"
        if reason is None:
            return PlainTextResponse("ready\n")
        return PlainTextResponse(f"not ready: {reason}\n", status_code=503)

    def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    def show_status(_: Request) -> Response:
        return JSONResponse(dict(status()))

    answers = {"/livez": livez, "/readyz": readyz, "/metrics": metrics, "/status": show_status}
    routes = [Route(path, answer) for path, answer in {**answers, **(pages or {})}.items()]
    shell = Starlette(routes=routes, lifespan=lifespan)
    shell.router.redirect_slashes = False  # a webhook sender must never meet a 3xx
    app = IngestApp(webhook, shell)
    return app


def serve_config(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    head_deadline_s: float = 10.0,
    keep_alive_s: int = 75,
    drain_s: int | None = 10,
    backlog: int = 2048,
) -> Config:
    """Return the uvicorn settings that holdtime serves with; logging is left to the caller.

    `head_deadline_s` is how long a client may take to send a request's headers; `keep_alive_s` how long it may be quiet
    between two requests: longer than proxies keep theirs, so that it is they who close; `drain_s` how long a shutdown
    waits for what is in flight.
    """
    connection = type("Connection", (BoundedConnection,), {"head_deadline_s": head_deadline_s})
    return Config(
        app,
        interface="asgi3",
        host=host,
        port=port,
        loop="uvloop",
        http=connection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        backlog=backlog,
        timeout_keep_alive=keep_alive_s,
        timeout_graceful_shutdown=drain_s,
    )
