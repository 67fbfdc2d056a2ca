"""The site: webhooks go to their endpoint, probes and pages to the shell, and every other path is a 404."""

import ipaddress
import re
from collections.abc import Awaitable, Collection, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from ingest.http.answers import COME_AGAIN, Answer
from ingest.http.request import Head
from ingest.metrics import HttpMetrics
from ingest.webhook import WebhookDelivery, WebhookEndpoint

WEBHOOK_PATH = "/webhooks/telnyx"
PROBES = frozenset(("/livez", "/readyz"))
MAX_PAGES = 32
"""Requests for pages that are answered at a time."""

_WEBHOOK_SPELLINGS = re.compile(r"/+webhooks/+telnyx/*")
_NOT_FOUND = Answer.of(404, b"not found\n", closes=True)
_MISDIRECTED = Answer.of(421, b"not served under this Host: see [http] hosts\n", closes=True)
_BUSY_HEADERS = [(b"retry-after", b"2"), (b"content-length", b"11"), (b"connection", b"close")]
_BUSY_START = {"type": "http.response.start", "status": 503, "headers": _BUSY_HEADERS}
_BUSY_BODY = {"type": "http.response.body", "body": b"come again\n"}


class Site:
    """Decides on a request by its head, and is the ASGI application for every request but deliveries."""

    def __init__(
        self,
        webhook: WebhookEndpoint | None,
        shell: ASGIApp,
        *,
        paths: Collection[str],
        metrics: HttpMetrics,
        hosts: Sequence[str] = (),
        admin_port: int | None = None,
    ) -> None:
        """Join the endpoint, where this process has one, and the shell with its `paths`.

        `hosts`: the names that pages are served under; any if there are none. With `admin_port` pages are served on
        that port only, and deliveries only elsewhere; probes on both.
        """
        self.metrics = metrics
        self._webhook = webhook
        self._shell = shell
        self._paths = frozenset(paths)
        self._hosts = frozenset(host.lower() for host in hosts)
        self._admin_port = admin_port
        self._pages = 0
        self.accepting = True

    def admit(self, head: Head, *, port: int) -> WebhookDelivery | Answer | None:
        """Return the delivery that the head begins, or the answer that refuses it, or None for the shell."""
        path = head.path
        is_admin = port == self._admin_port
        if self._webhook and not is_admin and (path == WEBHOOK_PATH or _WEBHOOK_SPELLINGS.fullmatch(path)):
            # Lenient, because a 404 is final for Telnyx; and a signature is good under any Host.
            return self._webhook.admit(head)
        if path in PROBES:
            return None
        if path not in self._paths or not (is_admin or self._admin_port is None):
            return self._refused(_NOT_FOUND)
        if self._pages >= MAX_PAGES:
            return self._refused(COME_AGAIN)
        if self._hosts and not self._is_ours(head.host):
            return self._refused(_MISDIRECTED)
        return None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one ASGI scope."""
        if scope["type"] != "http" or scope["path"] in PROBES:
            return self._shell(scope, receive, send)
        return self._page(scope, receive, send)

    def stop_accepting(self) -> None:
        """Answer new deliveries with 503 and Retry-After from now on; those in flight are finished."""
        self.accepting = False
        if self._webhook:
            self._webhook.accepting = False

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._pages >= MAX_PAGES:  # many were admitted in one pass of the event loop
            await send(_BUSY_START)
            await send(_BUSY_BODY)
            return
        self._pages += 1
        try:
            await self._shell(scope, receive, send)
        finally:
            self._pages -= 1

    def _refused(self, answer: Answer) -> Answer:
        self.metrics.refused(answer.status)
        return answer

    def _is_ours(self, host: bytes | None) -> bool:
        """Return whether the host is configured, an address or localhost: no foreign name leads a browser to those."""
        name = (host or b"").decode("latin-1").lower()
        name = name.partition("]")[0].removeprefix("[") if name.startswith("[") else name.partition(":")[0]
        return name.removesuffix(".") in self._hosts or name == "localhost" or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
