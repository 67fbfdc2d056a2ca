"""The exchanges over HTTP while a service is asked to send something: watched, bounded, and never redirected.

Apprise says of a sending that it worked or that it did not. To try again without ever sending twice one has to know
more: whether the other side refused, or may have taken it before the line went dead. All of apprise's HTTP services go
through `requests`, by its functions and by sessions of their own, which take no transport from outside. So the one
method that all of them reach is replaced while a sending is watched, which is in a process of its own (`sender`).
"""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

import requests
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

MAX_ANSWER_BYTES = 1 << 20
"""As sent and inflated, each. What services say of a message is a few hundred bytes."""

_BAD_GATEWAY, _GATEWAY_TIMEOUT = 502, 504
_CHUNK_BYTES = 1 << 16
_one_at_a_time = threading.Lock()


class AnswerTooLargeError(requests.RequestException):
    """The answer is larger than its bound, and was not read."""


@dataclass(frozen=True, slots=True)
class HttpExchange:
    """A request and how it ended: refused for sure, or perhaps, or certainly, taken. `found` holds nothing secret."""

    changes: bool
    refused: bool
    found: str
    redirected: bool = False


@contextmanager
def watched() -> Iterator[list[HttpExchange]]:
    """Yield the list into which every HTTP exchange of this process goes; one watches at a time, others wait."""
    with _one_at_a_time:
        exchanges: list[HttpExchange] = []
        send = requests.Session.send

        @wraps(send)
        def sent(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
            try:
                response = send(session, request, **{**options, "allow_redirects": False, "stream": True})
            except requests.RequestException as error:
                exchanges.append(_broken(request.method, error))
                raise
            try:
                response.raw = io.BytesIO(_read(response))
            except requests.RequestException as error:
                exchanges.append(_broken_off(request.method, response.status_code, error))
                raise
            exchanges.append(_answered(request.method, response.status_code))
            return response

        requests.Session.send = sent  # type: ignore[method-assign, assignment] # requests has no hook for failures, nor for bounds
        try:
            yield exchanges
        finally:
            requests.Session.send = send  # type: ignore[method-assign]


def _read(response: requests.Response) -> bytes:
    """The whole body, inflated. Raises RequestException."""
    raw, content = response.raw, bytearray()
    try:
        for chunk in raw.stream(_CHUNK_BYTES, decode_content=True):
            content += chunk
            if max(len(content), raw.tell()) > MAX_ANSWER_BYTES:
                raise AnswerTooLargeError
    except HTTPError as error:
        raise requests.ConnectionError(error) from error
    finally:
        raw.close()
    return bytes(content)


def _is_refusal(status: int) -> bool:
    # A gateway that lost the one behind it does not know what that one did with the request.
    return status >= 300 and status not in {_BAD_GATEWAY, _GATEWAY_TIMEOUT}


def _answered(method: str | None, status: int) -> HttpExchange:
    if 300 <= status < 400:
        found = f"it answered with a redirect ({status}), which is not followed: expected the service's final address"
        return HttpExchange(_changes(method), refused=True, found=found, redirected=True)
    return HttpExchange(_changes(method), _is_refusal(status), f"it answered with status {status}")


def _broken_off(method: str | None, status: int, error: requests.RequestException) -> HttpExchange:
    why = "more than 1 MiB" if isinstance(error, AnswerTooLargeError) else "an answer that broke off"
    return HttpExchange(_changes(method), _is_refusal(status), f"it answered with status {status} and {why}")


def _broken(method: str | None, error: requests.RequestException) -> HttpExchange:
    cause = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(error, requests.ConnectTimeout) or isinstance(cause, (NewConnectionError, ConnectTimeoutError)):
        return HttpExchange(_changes(method), refused=True, found="nothing listens there")
    if isinstance(error, requests.exceptions.SSLError):
        return HttpExchange(_changes(method), refused=True, found="no secure connection could be made")
    if isinstance(error, requests.Timeout):
        return HttpExchange(_changes(method), refused=False, found="no answer came in time")
    return HttpExchange(_changes(method), refused=False, found="the connection broke before an answer came")


def _changes(method: str | None) -> bool:
    return (method or "").upper() not in {"GET", "HEAD", "OPTIONS"}
