"""Signs deliveries as Telnyx does and posts them over a few keep-alive connections.

What may succeed later is tried again: 408, 429, 5xx and broken connections, never another 4xx. Sources: Telnyx
"Webhook signing", "Response codes", and the limits of `webhook_retries_policies`.
"""

import asyncio
import base64
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from nacl.signing import SigningKey

from simulator import telnyx
from simulator.keep_alive import BROKEN, KeepAlive, Target
from simulator.network import SimulatedDelivery

_CONNECTS_S = 10.0
_AGAIN_S = 0.1


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and for how long a delivery is tried again. The wait doubles from `first_s` up to `most_s`."""

    limit: int = 5
    first_s: float = 0.5
    most_s: float = 16.0
    total_s: float = 60.0


TELNYX_RETRIES = Retries()


@dataclass(slots=True)
class Posted:
    """How the deliveries ended. `forged` counts the answers to forged ones, which are never tried again."""

    statuses: Counter[int] = field(default_factory=Counter)
    """Answers to every attempt at an authentic delivery; `BROKEN` where there was none."""
    forged: Counter[int] = field(default_factory=Counter)
    accepted: int = 0
    """Authentic deliveries that got a 2xx in the end."""
    given_up: list[str] = field(default_factory=list)
    """Event ids of authentic deliveries that never did."""
    refusals: Counter[int] = field(default_factory=Counter)
    """The last answers to those; `BROKEN` where there was none."""
    slowest_s: float = 0.0
    """The longest that any attempt waited for its answer, or for the connection to break."""
    seconds: float = 0.0

    @property
    def settled(self) -> int:
        """Deliveries that are over, well or badly."""
        return self.accepted + len(self.given_up) + self.forged.total()


async def post(
    deliveries: Iterable[SimulatedDelivery],
    *,
    url: str,
    failover: str | None = None,
    key: SigningKey,
    rate: float | None = None,
    connections: int = 8,
    retries: Retries = TELNYX_RETRIES,
    timeout_s: float = 10.0,
    allow_remote: bool = False,
    progress: Callable[[Posted], None] | None = None,
    clock: Callable[[], float] = time.time,
) -> Posted:
    """Post all `deliveries` to `url`, in order, `rate` a second or (None) as fast as they are taken.

    Every other retry goes to `failover`, where there is one. A delivery that waits to be tried again keeps its
    connection, so a server that is down is not run over when it comes back. `progress` is called after each settled
    delivery with the counts so far. `clock` gives the Unix time that is signed. Raises ValueError for a URL that is not
    HTTP, or not on this machine unless `allow_remote`.
    """
    targets = [Target.parse(each, allow_remote=allow_remote) for each in (url, failover) if each]
    began = time.perf_counter()
    run = _Run(_paced(deliveries, rate), targets, key, retries, timeout_s, progress, clock)
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(run.work())
    run.posted.seconds = time.perf_counter() - began
    return run.posted


async def unreachable(url: str, *, allow_remote: bool = False, patience_s: float = 2.0) -> str | None:
    """Say why no receiver can be reached at a URL, or None. Raises ValueError for a URL that is none.

    Where nothing listens yet it is asked again for so long: a receiver may have been started a moment ago.
    """
    target = Target.parse(url, allow_remote=allow_remote)
    give_up = time.monotonic() + patience_s
    while True:
        try:
            async with asyncio.timeout(_CONNECTS_S):
                _, writer = await asyncio.open_connection(target.host, target.port)
        except ConnectionRefusedError:
            if time.monotonic() >= give_up:
                return f"nothing listens on {target.host}:{target.port}"
            await asyncio.sleep(_AGAIN_S)
        except OSError as error:  # TimeoutError is one, without words
            return f"{target.host}:{target.port} cannot be reached ({error.strerror or 'no answer'})"
        else:
            writer.close()
            return None


def _paced(deliveries: Iterable[SimulatedDelivery], rate: float | None) -> Iterator[tuple[float, SimulatedDelivery]]:
    """Yield each delivery with the seconds after the start at which it is due."""
    for number, delivery in enumerate(deliveries):
        yield (number / rate if rate else 0.0), delivery


@dataclass(slots=True)
class _Run:
    due: Iterator[tuple[float, SimulatedDelivery]]
    targets: list[Target]
    key: SigningKey
    retries: Retries
    timeout_s: float
    progress: Callable[[Posted], None] | None
    clock: Callable[[], float]
    stranger: SigningKey = field(default_factory=SigningKey.generate)
    posted: Posted = field(default_factory=Posted)
    began: float = field(default_factory=time.monotonic)

    async def work(self) -> None:
        async with AsyncExitStack() as stack:
            connections = [
                await stack.enter_async_context(KeepAlive(target, self.timeout_s)) for target in self.targets
            ]
            for due_s, delivery in self.due:  # all workers draw from the one iterator
                early_s = due_s - (time.monotonic() - self.began)
                if early_s > 0:
                    await asyncio.sleep(early_s)
                await self._settle(connections, delivery)
                if self.progress is not None:
                    self.progress(self.posted)

    async def _settle(self, connections: list[KeepAlive], delivery: SimulatedDelivery) -> None:
        if delivery.forged:
            self.posted.forged[await self._attempt(connections[0], delivery.body, self.stranger)] += 1
            return
        body, deadline, wait_s = delivery.body, time.monotonic() + self.retries.total_s, self.retries.first_s
        for retry in range(self.retries.limit + 1):
            if retry:
                body = telnyx.attempt(delivery.body, delivery.attempt + retry)
            status = await self._attempt(connections[retry % len(connections)], body, self.key)
            self.posted.statuses[status] += 1
            if 200 <= status < 300:
                self.posted.accepted += 1
                return
            if not _may_succeed_later(status) or retry == self.retries.limit or time.monotonic() + wait_s > deadline:
                break
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, self.retries.most_s)
        self.posted.given_up.append(delivery.event_id)
        self.posted.refusals[status] += 1

    async def _attempt(self, connection: KeepAlive, body: bytes, key: SigningKey) -> int:
        began = time.monotonic()
        status = await connection.send(self._request(connection.target, body, key))
        self.posted.slowest_s = max(self.posted.slowest_s, time.monotonic() - began)
        return status

    def _request(self, target: Target, body: bytes, key: SigningKey) -> bytes:
        sent = str(int(self.clock()))
        signature = base64.b64encode(key.sign(f"{sent}|".encode() + body).signature).decode()
        host = f"[{target.host}]" if ":" in target.host else target.host
        head = (
            f"POST {target.path} HTTP/1.1\r\nHost: {host}:{target.port}\r\n"
            "User-Agent: telnyx-webhooks\r\nContent-Type: application/json\r\n"
            f"Telnyx-Signature-Ed25519: {signature}\r\nTelnyx-Timestamp: {sent}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode("latin-1") + body


def _may_succeed_later(status: int) -> bool:
    return status in {BROKEN, 408, 429} or status >= 500
