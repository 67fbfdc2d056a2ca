"""The API over HTTP: its keys, its limits, and the faults of the network."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hmac import compare_digest

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.api import resources
from simulator.api.account import Account
from simulator.api.commands import Commands
from simulator.api.errors import ApiError
from simulator.api.lists import Lists
from simulator.api.manners import Manners
from simulator.api.resources import Resource

PREFIX = "/v2"

Answer = Callable[[Request], Resource]


def application(account: Account, *, key: str, manners: Manners | None = None) -> Starlette:
    """The API of one account, for who knows its key. One event loop serves it."""
    manners = manners or Manners()
    lists, commands = Lists(account, manners), Commands(account)

    def listed(answer: Callable[..., Resource], *names: str) -> Answer:
        return lambda request: answer(*(request.path_params[name] for name in names), request.query_params)

    reads: dict[str, Answer] = {
        "/webhook_deliveries": listed(lists.webhook_deliveries),
        "/call_events": listed(lists.call_events),
        "/detail_records": listed(lists.detail_records),
        "/recordings": listed(lists.recordings),
        "/conferences": listed(lists.conferences),
        "/conferences/{id}": lambda request: _one(_conference(account, request)),
        "/conferences/{id}/participants": listed(lists.participants, "id"),
        "/conferences/{id}/participants/{participant}": lambda request: _one(_participant(account, request)),
        "/queues": listed(lists.queues),
        "/queues/{name:path}/calls": listed(lists.queue_calls, "name"),
        "/queues/{name:path}/calls/{call:path}": lambda request: _one(_queue_call(account, request)),
        "/queues/{name:path}": lambda request: _one(_queue(account, request)),
        "/calls/{call}": lambda request: _one(_call(account, request)),
    }

    door = _Door(key, manners, _Limit(account, manners))

    def read(answer: Answer) -> Callable[[Request], Awaitable[Resource]]:
        async def found(request: Request) -> Resource:
            return answer(request)

        return found

    async def command(request: Request) -> Resource:
        body = json.loads(await request.body() or b"{}")
        return commands.obey(request.url.path.removeprefix(PREFIX + "/"), body)

    routes = [Route(PREFIX + path, door.guarded(read(answer)), methods=["GET"]) for path, answer in reads.items()]
    routes.append(Route(PREFIX + "/{path:path}", door.guarded(command), methods=["POST"]))
    routes.append(Route(PREFIX + "/{path:path}", door.guarded(read(_nothing)), methods=["GET"]))
    return Starlette(routes=routes)


def _nothing(_: Request) -> Resource:
    raise ApiError.not_found()


def _one(found: Resource) -> Resource:
    return {"data": found}


def _sent(found: Resource, headers: dict[str, str], manners: Manners) -> Response:
    """The answer, as whole as the manners let it be."""
    if "meta" in found and manners.happens(manners.without_meta):
        del found["meta"]
    if isinstance(found["data"], list) and manners.happens(manners.halved):
        found["data"] = found["data"][: len(found["data"]) // 2]
    text = json.dumps(found).encode()
    if manners.happens(manners.cut):
        text = text[: len(text) // 2]
    return Response(text, headers=headers, media_type="application/json")


@dataclass(frozen=True, slots=True)
class _Door:
    """Lets those in who may ask, and counts them."""

    key: str
    manners: Manners
    limit: "_Limit"

    def guarded(self, answer: Callable[[Request], Awaitable[Resource]]) -> Callable[[Request], Awaitable[Response]]:
        """The same answer for those who may have it, as Telnyx would send it."""

        async def respond(request: Request) -> Response:
            try:
                self._admit(request)
                found = await answer(request)
            except ApiError as error:
                return JSONResponse(error.body, error.status, self.limit.headers(error))
            return _sent(found, self.limit.headers(), self.manners)

        return respond

    def _admit(self, request: Request) -> None:
        word = request.url.path.removeprefix(PREFIX + "/").split("/")[0]
        self.manners.count(word)
        if not compare_digest(request.headers.get("authorization", "").encode(), f"Bearer {self.key}".encode()):
            raise ApiError.unauthorized()
        self.limit.take()
        if word in self.manners.forbidden:
            raise ApiError.forbidden()
        if self.manners.happens(self.manners.failing):
            raise ApiError.broken()


class _Limit:
    """So many requests in each window of time, as `x-ratelimit-*` tells."""

    def __init__(self, account: Account, manners: Manners) -> None:
        self._account, self._manners = account, manners
        self._window, self._taken = -1, 0

    def take(self) -> None:
        """Count one request. Raises ApiError when there are too many."""
        if self._manners.limit is None:
            return
        window = int(self._account.now() // (self._manners.window_s * 1_000_000))
        if window != self._window:
            self._window, self._taken = window, 0
        self._taken += 1
        if self._taken > self._manners.limit:
            raise ApiError.too_many()

    def headers(self, error: ApiError | None = None) -> dict[str, str]:
        """What Telnyx tells of the limit; whole seconds until it begins anew."""
        if self._manners.limit is None:
            return {}
        length = self._manners.window_s * 1_000_000
        reset = str(int(-(-(length - self._account.now() % length) // 1_000_000)))
        said = {
            "x-ratelimit-limit": str(self._manners.limit),
            "x-ratelimit-remaining": str(max(0, self._manners.limit - self._taken)),
            "x-ratelimit-reset": reset,
        }
        if error is not None and error.status == 429 and self._manners.says_retry_after:
            return {**said, "retry-after": reset}
        return said


def _conference(account: Account, request: Request) -> Resource:
    room = account.room(request.path_params["id"])
    if room is None:
        raise ApiError.no_conference()
    return resources.conference(account, room)


def _participant(account: Account, request: Request) -> Resource:
    room = account.room(request.path_params["id"])
    if room is None:
        raise ApiError.no_conference()
    for stay in room.stays:
        if resources.participant_id(room, stay) == request.path_params["participant"]:
            return resources.single_participant(account, room, stay)
    raise ApiError.not_found()


def _queue(account: Account, request: Request) -> Resource:
    name = request.path_params["name"]
    if name not in account.queues():
        raise ApiError.not_found()
    return resources.queue(account, name)


def _queue_call(account: Account, request: Request) -> Resource:
    name, call = request.path_params["name"], request.path_params["call"]
    for nth, visit in enumerate(account.waiting(name), 1):
        if visit.leg.control_id == call:
            return resources.queue_call(account, visit, nth)
    raise ApiError.not_found()


def _call(account: Account, request: Request) -> Resource:
    leg = account.leg(request.path_params["call"])
    if leg is None or (not account.alive(leg) and account.now() - leg.ended > 600_000_000):
        raise ApiError.not_found()
    return resources.call(account, leg)
