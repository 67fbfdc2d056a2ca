"""The lists: filters and pages as Telnyx has them, with what it ignores and what it forgets."""

import bisect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from simulator.api import resources, webhooks
from simulator.api.account import Account
from simulator.api.errors import ApiError
from simulator.api.manners import Manners
from simulator.api.resources import Resource
from simulator.telnyx import Event

MAX_ITEMS = 250
MAX_DETAIL_RECORDS = 50
_DAY_US = 86_400_000_000

Query = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Lists:
    """All lists of one account."""

    account: Account
    manners: Manners
    found: dict[object, list[Resource]] = field(default_factory=dict)
    """The list of detail records that was asked for last, all of it."""

    def webhook_deliveries(self, query: Query) -> Resource:
        """Original bodies; newest first."""
        events, now = self.account.webhooks(query.get("filter[status][eq]")), self.account.now()
        kept_for = self.manners.deliveries_for
        since = _instant(query, "filter[started_at][gte]", 0)
        if kept_for is not None:
            since = max(since, now - kept_for // timedelta(microseconds=1))
        until = min(_instant(query, "filter[started_at][lte]", now), now)
        first = bisect.bisect_left(events, since, key=lambda event: event.at)
        last = bisect.bisect_right(events, until, key=lambda event: event.at)
        types = set(filter(None, query.get("filter[event_type]", "").split(",")))
        text = query.get("filter[webhook][contains]", "").encode()
        if types or text:
            events = [
                each for each in events[first:last] if text in each.body and (each.event_type in types or not types)
            ]
            first, last = 0, len(events)
        return _page(query, last - first, lambda start, end: self._deliveries(events[last - end : last - start][::-1]))

    def _deliveries(self, events: Sequence[Event]) -> list[Resource]:
        lost, to = self.account.lost, self.account.plan.delivered_to
        return [
            webhooks.webhook_delivery(each, delivered=each.event_id not in lost, delivered_to=to) for each in events
        ]

    def call_events(self, query: Query) -> Resource:
        """Original bodies, oldest first: of the last day, or of one leg or session. No filter by call_session_id."""
        bounds = {name: at for name, at in query.items() if name.startswith("filter[occurred_at]")}
        if len(bounds) > 1:
            raise ApiError.invalid("filter[occurred_at]", "only one of eq, gt, gte, lt and lte is allowed")
        now, account = self.account.now(), self.account
        legs = {query[name] for name in ("filter[leg_id]",) if name in query}
        if session := query.get("filter[application_session_id]"):
            legs |= account.legs_of(session)
        if legs or session:
            events, since = account.webhooks_of(legs), 0
        else:
            events, since = account.webhooks(), now - self.manners.call_events_for // timedelta(microseconds=1)
        until = now
        for name in bounds:
            at = _instant(query, name, 0)
            match name.removeprefix("filter[occurred_at]"):
                case "[gte]" | "[gt]":
                    since = max(since, at)
                case "[lte]" | "[lt]":
                    until = min(until, at)
                case _:
                    since, until = max(since, at), min(until, at)
        first = bisect.bisect_left(events, since, key=lambda event: event.at)
        last = bisect.bisect_right(events, until, key=lambda event: event.at)
        if event_type := query.get("filter[name]"):
            events = [each for each in events[first:last] if each.event_type == event_type]
            first, last = 0, len(events)
        if query.get("filter[type]") == "command":
            last = first
        to, lost = account.plan.delivered_to, account.lost
        return _page(
            query,
            last - first,
            lambda start, end: [
                webhooks.call_event(each, delivered=each.event_id not in lost, delivered_to=to)
                for each in events[first + start : first + end]
            ],
        )

    def conferences(self, query: Query) -> Resource:
        """Those that expire last first; by name and status, never by time."""
        rooms, kept_for = self.account.rooms(), self.manners.conferences_for
        if kept_for is not None:
            oldest = self.account.now() - kept_for // timedelta(microseconds=1)
            rooms = [room for room in rooms if room.ended >= oldest]
        if (name := query.get("filter[name]")) is not None or "filter[status]" in query:
            found = [resources.conference(self.account, room) for room in rooms]
            found = [each for each in found if name in {None, each["name"]}]
            found = [each for each in found if query.get("filter[status]") in {None, each["status"]}]
            return _page(query, len(found), lambda start, end: found[start:end])
        return _page(
            query,
            len(rooms),
            lambda start, end: [resources.conference(self.account, room) for room in rooms[start:end]],
        )

    def participants(self, conference_id: str, query: Query) -> Resource:
        """Everybody who was ever in the conference."""
        room = self.account.room(conference_id)
        if room is None:
            raise ApiError.no_conference()
        now = self.account.now()
        found = [resources.participant(self.account, room, stay) for stay in room.stays if stay.joined <= now]
        for flag in ("muted", "on_hold"):
            if (wanted := query.get(f"filter[{flag}]")) is not None:
                found = [each for each in found if str(each[flag]).lower() == wanted]
        return _page(query, len(found), lambda start, end: found[start:end])

    def queues(self, query: Query) -> Resource:
        """Those that are not forgotten."""
        found = [resources.queue(self.account, name) for name in self.account.queues()]
        return _page(query, len(found), lambda start, end: found[start:end])

    def queue_calls(self, name: str, query: Query) -> Resource:
        """Who waits now."""
        if name not in self.account.queues():
            raise ApiError.not_found()
        waiting = self.account.waiting(name)
        found = [resources.queue_call(self.account, visit, nth) for nth, visit in enumerate(waiting, 1)]
        return _page(query, len(found), lambda start, end: found[start:end])

    def recordings(self, query: Query) -> Resource:
        """By conference, leg, session and times; newest first."""
        found = [resources.recording(self.account, *told) for told in self.account.recordings()][::-1]
        for name in ("conference_id", "call_leg_id", "call_session_id", "call_control_id", "connection_id"):
            if (wanted := query.get(f"filter[{name}]")) is not None:
                found = [each for each in found if each[name] == wanted]
        fields = {"created_at": "created_at", "start_time": "recording_started_at", "end_time": "recording_ended_at"}
        found = [each for each in found if _within(each, query, fields)]
        return _page(query, len(found), lambda start, end: found[start:end])

    def detail_records(self, query: Query) -> Resource:
        """Of one record type, the newest first; a date_range with bounds finds nothing, and nobody says so."""
        wanted = tuple(sorted((name, value) for name, value in query.items() if not name.startswith("page[")))
        asked = (wanted, self.account.now(), len(self.account.events))
        if asked not in self.found:  # the pages of one list are asked for one after the other
            self.found.clear()
            self.found[asked] = self._detail_records(query)
        found = self.found[asked]
        return _page(query, len(found), lambda start, end: found[start:end], most=MAX_DETAIL_RECORDS)

    def _detail_records(self, query: Query) -> list[Resource]:
        kind, now = query.get("filter[record_type]"), self.account.now()
        rooms = [room for room in self.account.rooms() if room.ended <= now]
        if kind == "conference":
            found = [resources.conference_record(self.account, room) for room in rooms]
            begins = "started_at"
        elif kind == "conference-participant":
            found = [resources.participant_record(room, stay) for room in rooms for stay in room.stays]
            begins = "joined_at"
        elif kind is None:
            raise ApiError.invalid("filter[record_type]", "is required")
        else:
            found, begins = [], "started_at"
        if any(name.startswith("filter[date_range][") for name in query):
            found = []
        if days := re.fullmatch(r"last_(\d+)_days", query.get("filter[date_range]", "")):
            oldest = now - int(days[1]) * _DAY_US
            found = [each for each in found if _us(each[begins]) >= oldest]
        kept_for = self.manners.detail_records_for
        if kept_for is not None:
            oldest = now - kept_for // timedelta(microseconds=1)
            found = [each for each in found if _us(each[begins]) >= oldest]
        times = ("started_at", "ended_at", "joined_at", "left_at", "expires_at")
        found = [each for each in found if _within(each, query, {name: name for name in times})]
        found.sort(key=lambda each: _us(each[begins]), reverse=query.get("sort", "-").startswith("-"))
        return found


def _page(query: Query, total: int, items: Callable[[int, int], list[Resource]], *, most: int = MAX_ITEMS) -> Resource:
    """One page, with the meta that tells how many there are."""
    number, size = _whole(query, "page[number]", 1), min(_whole(query, "page[size]", 20), most)
    start = (number - 1) * size
    return {
        "data": items(start, min(start + size, total)) if start < total else [],
        "meta": {
            "page_number": number,
            "page_size": size,
            "total_pages": math.ceil(total / size),
            "total_results": total,
        },
    }


def _whole(query: Query, name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise ApiError.invalid(name, "must be a whole number from 1")
    return int(text)


def _instant(query: Query, name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    try:
        return _us(text)
    except ValueError:
        raise ApiError.invalid(name, "must be an ISO 8601 datetime") from None


def _us(text: str) -> int:
    at = datetime.fromisoformat(text)
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _within(found: Mapping[str, Any], query: Query, fields: Mapping[str, str]) -> bool:
    compare: dict[str, Callable[[int, int], bool]] = {
        "gte": lambda a, b: a >= b,
        "gt": lambda a, b: a > b,
        "lte": lambda a, b: a <= b,
        "lt": lambda a, b: a < b,
    }
    return all(
        compare[how](_us(found[field]), _instant(query, f"filter[{name}][{how}]", 0))
        for name, field in fields.items()
        for how in compare
        if f"filter[{name}][{how}]" in query and field in found
    )
