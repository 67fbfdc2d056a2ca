"""Answers made from the documented fields alone: some missing, null, of an unknown value or type, and some besides."""

import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx

from tests.support.documented import (
    FIELDS,
    SINGLE,
    endpoint,
)
from tests.support.mangled import NAMES, ODD

MOST_ITEMS = 12
_STATUSES = ("completed", "in_progress", "init", "joined", "joining", "left", "delivered", "failed", "of tomorrow")
_REASONS = ("all_left", "ended_via_api", "host_left", "time_exceeded", "of tomorrow")


@dataclass
class Generated(httpx.AsyncBaseTransport):
    """Answers every question with a page. `ids` and `queues` are some that the center knows; `bodies` are webhooks."""

    rng: random.Random
    now: datetime
    ids: Sequence[str]
    queues: Sequence[str]
    bodies: Sequence[bytes]
    asked: Counter[str] = field(default_factory=Counter)

    @property
    def pages(self) -> int:
        """How many answers there were."""
        return self.asked.total()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Make a page, or a single thing."""
        name = endpoint(request.url.path.removeprefix("/v2/"), request.url.params.get("filter[record_type]"))
        self.asked[name] += 1
        if name in SINGLE and self.rng.random() < 0.3:
            return httpx.Response(404, json={"errors": [{"code": "10007", "title": "no"}]}, request=request)
        return httpx.Response(200, content=json.dumps(self._document(name)).encode(), request=request)

    def _document(self, name: str) -> Any:
        if name in SINGLE:
            return {"data": self._maybe(self._item(name))}
        items = [self._maybe(self._item(name)) for _ in range(self.rng.randrange(MOST_ITEMS))]
        meta = {"page_number": 1, "page_size": 250, "total_pages": 1, "total_results": len(items)}
        return {"data": items, **({} if self.rng.random() < 0.1 else {"meta": self._varied(meta)})}

    def _item(self, name: str) -> dict[str, Any]:
        return self._varied({each: self._value(each) for each in FIELDS[name]})

    def _varied(self, item: dict[str, Any]) -> dict[str, Any]:
        """One in ten fields is missing, null or odd, of some items half; every third has one that nobody documents."""
        missing = self.rng.choice((0.04, 0.04, 0.5))
        kept = {name: self._maybe(value) for name, value in item.items() if self.rng.random() >= missing}
        if self.rng.random() < 0.3:
            kept[self.rng.choice(NAMES)] = self.rng.choice(ODD)
        return kept

    def _maybe(self, value: Any) -> Any:
        drawn = self.rng.random()
        return None if drawn < 0.03 else self.rng.choice(ODD) if drawn < 0.06 else value

    def _value(self, name: str) -> Any:
        rng = self.rng
        if name.endswith(("_at", "_timestamp")):
            return (self.now - timedelta(seconds=rng.uniform(-600, 20_000))).isoformat()
        if name.endswith(("_sec", "_secs", "_millis", "_count", "_size", "_position")):
            return rng.randrange(5_000)
        if name.startswith(("is_", "muted", "on_hold", "end_conference", "soft_end")):
            return rng.random() < 0.5
        made: dict[str, Any] = {
            "webhook": self._event(),
            "metadata": {"event": self._event(), "status": rng.choice(_STATUSES)},
            "attempts": [{"status": "failed", "errors": [75499, {"code": 1}], "http": {"response": {"status": 503}}}],
            "conference": {"id": rng.choice(self.ids), "name": "room"},
            "ended_by": {"call_control_id": rng.choice(self.ids), "call_session_id": None},
            "download_urls": {"mp3": "https://example.invalid/x"},
            "whisper_call_control_ids": [rng.choice(self.ids)],
            "status": rng.choice(_STATUSES),
            "end_reason": rng.choice(_REASONS),
            "type": rng.choice(("webhook", "command")),
            "name": rng.choice((*self.queues, "another")),
            "channels": rng.choice(("single", "dual")),
        }
        return made.get(name, rng.choice(self.ids))

    def _event(self) -> Any:
        told: dict[str, Any] = json.loads(self.rng.choice(self.bodies))
        inner: dict[str, Any] = told.get("data", told)
        return self._varied({**inner, "payload": self._varied(dict(inner.get("payload") or {}))})
