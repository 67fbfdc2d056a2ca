"""Answers as no document describes them: fields missing, null, of another type or unknown, lists that are none."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

ODD: tuple[Any, ...] = (
    *(None, "", " ", 0, -1, 1.5, 10**30, True, [], {}, [None], {"id": 1}),
    *("9999-99-99T00:00:00Z", "19999-01-01T00:00:00Z", "2026-02-30", "yesterday", "12:00", "1970-01-01T00:00:00-23:59"),
    *("\ud800", "\u202e", "'; drop table stored_events; --", "../..", "a" * 5_000, "null", "{}"),
)
NAMES = ("id", "created_at", "payload", "event_type", "x-new", "", "status", "occurred_at", "data", "meta")


@dataclass
class Mangling(httpx.AsyncBaseTransport):
    """Passes requests on and spoils some of what comes back. `pages` counts the answers that it touched."""

    inner: httpx.AsyncBaseTransport
    rng: random.Random
    share: float = 0.15
    pages: int = 0
    after: Callable[[], None] = field(default=lambda: None)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Ask, and spoil the answer."""
        answer = await self.inner.handle_async_request(request)
        body = json.loads(await answer.aread())
        self.pages += 1
        self.after()
        if self.rng.random() < 0.9:
            body = self._spoiled(body, 0)
        return httpx.Response(answer.status_code, content=json.dumps(body).encode(), request=request)

    def _spoiled(self, value: Any, depth: int) -> Any:
        rng = self.rng
        share = self.share / 30 if depth < 2 else self.share
        if rng.random() < share / 4:
            return rng.choice(ODD)
        if isinstance(value, dict):
            kept = {name: self._spoiled(each, depth + 1) for name, each in value.items() if rng.random() >= share / 4}
            if rng.random() < share:
                kept[rng.choice(NAMES)] = rng.choice(ODD)
            return kept
        if isinstance(value, list):
            return [self._spoiled(each, depth + 1) for each in value]
        return value
