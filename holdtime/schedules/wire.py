"""What really happened on the wire while a service was asked to send something.

Apprise says of a sending that it worked or that it did not. To try again without ever sending twice one has to know
more: whether the other side refused, or may have taken it before the line went dead. All of apprise's HTTP services go
through `requests`, so that is where it can be seen.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any

import requests
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

_BAD_GATEWAY, _GATEWAY_TIMEOUT = 502, 504


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and how it ended: refused for sure, or perhaps, or certainly, taken. `found` holds nothing secret."""

    changes: bool
    refused: bool
    found: str


_seen: ContextVar[list[Exchange] | None] = ContextVar("seen", default=None)


@contextmanager
def watched() -> Iterator[list[Exchange]]:
    """Yield the list into which every HTTP exchange of this thread goes."""
    exchanges: list[Exchange] = []
    token = _seen.set(exchanges)
    try:
        yield exchanges
    finally:
        _seen.reset(token)


def _answered(method: str | None, status: int) -> Exchange:
    # A gateway that lost the one behind it does not know what that one did with the request.
    refused = status >= 300 and status not in {_BAD_GATEWAY, _GATEWAY_TIMEOUT}
    return Exchange(_changes(method), refused, f"it answered with status {status}")


def _broken(method: str | None, error: requests.RequestException) -> Exchange:
    cause = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(error, requests.ConnectTimeout) or isinstance(cause, (NewConnectionError, ConnectTimeoutError)):
        return Exchange(_changes(method), refused=True, found="nothing listens there")
    if isinstance(error, requests.exceptions.SSLError):
        return Exchange(_changes(method), refused=True, found="no secure connection could be made")
    if isinstance(error, requests.Timeout):
        return Exchange(_changes(method), refused=False, found="no answer came in time")
    return Exchange(_changes(method), refused=False, found="the connection broke before an answer came")


def _changes(method: str | None) -> bool:
    return (method or "").upper() not in {"GET", "HEAD", "OPTIONS"}


def _watching(send: Callable[..., requests.Response]) -> Callable[..., requests.Response]:
    @wraps(send)
    def sent(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        seen = _seen.get()
        try:
            response = send(session, request, **options)
        except requests.RequestException as error:
            if seen is not None:
                seen.append(_broken(request.method, error))
            raise
        if seen is not None:
            seen.append(_answered(request.method, response.status_code))
        return response

    return sent


requests.Session.send = _watching(requests.Session.send)  # type: ignore[method-assign] # there is no hook for failures
