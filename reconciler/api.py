"""Telnyx's API through the official SDK, with manners: raw documents, a page at a time, whole or not at all.

The SDK's own pages are not used: on a page without `meta` its iterator asks for page 2 for ever, its types are guesses
that lose what they do not know, and it gives up on a 429 that has no Retry-After, which Telnyx does not document.
"""

import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import telnyx
from telnyx import AsyncTelnyx

from reconciler import transport
from reconciler.errors import (
    ForbiddenError,
    QuestionRefusedError,
    UnansweredError,
    UnaskableError,
    UnauthorizedError,
)
from reconciler.pace import Pace

PAGE = 250
MAX_PAGES = 5_000
ATTEMPTS = 6
ATTEMPTS_WHEN_LIMITED = 30
TIMEOUT_S = 30.0
MAX_TITLES = 5

Item = Mapping[str, Any]
Ask = Callable[[], Awaitable[Any]]
AskPage = Callable[[int], Awaitable[Any]]


def opened(*, key: str, base_url: str) -> AsyncTelnyx:
    """The SDK's client. It neither retries nor follows pages nor redirects: that is done here, or not at all."""
    http = httpx.AsyncClient(
        base_url=base_url, transport=transport.opened(base_url), timeout=TIMEOUT_S, follow_redirects=False
    )
    return AsyncTelnyx(api_key=key, base_url=base_url, max_retries=0, timeout=TIMEOUT_S, http_client=http)


@dataclass(slots=True)
class Api:
    """Asks one thing at a time. `requests` counts what was asked, by the name of the endpoint."""

    client: AsyncTelnyx
    pace: Pace = field(default_factory=Pace)
    requests: Counter[str] = field(default_factory=Counter)
    on_request: Callable[[str], None] = lambda _: None
    """Gets the name of each endpoint that is asked."""

    async def one(self, endpoint: str, ask: Ask) -> Item | None:
        """The `data` of a single thing; None where there is no such thing. Raises ReconcilerError."""
        document = await self._document(endpoint, ask)
        data = None if document is None else document["data"]
        return data if isinstance(data, dict) else None

    async def pages(
        self, endpoint: str, ask: AskPage, *, size: int = PAGE, may_be_gone: bool = False
    ) -> AsyncIterator[list[Item]]:
        """The items of a list, page by page, up to the last. Raises ReconcilerError where some of it cannot be had.

        `ask` gets the page's number and asks for `size` items. A page that is shorter than its own `meta` says is asked
        for again; so is one without `meta`, of which the end is then where nothing new comes. A list that is not found
        (404) is empty only where what it is of `may_be_gone`; Telnyx's own lists never are.
        """
        before: list[Item] = []
        for number in range(1, MAX_PAGES + 1):
            items, last = await self._page(endpoint, ask, number, size, may_be_gone=may_be_gone)
            if last is None and (not items or items == before):
                return
            yield items
            if last:
                return
            before = items
        raise UnansweredError(f"{endpoint}: more than {MAX_PAGES:,} pages: ask for less time, with --since")

    async def _page(
        self, endpoint: str, ask: AskPage, number: int, size: int, *, may_be_gone: bool
    ) -> tuple[list[Item], bool | None]:
        """A page, and whether it is the last one; None where nobody says."""
        why = ""
        for nth in range(1, ATTEMPTS + 1):
            document = await self._document(endpoint, lambda: ask(number))
            if document is None:
                if may_be_gone:
                    return [], True
                why = "as not found (404)"
                self.pace.failed(nth)
                continue
            data = document["data"] if isinstance(document["data"], list) else []
            items: list[Item] = [item for item in data if isinstance(item, dict)]
            meta = document.get("meta")
            total, pages, each = (_whole(meta, name) for name in ("total_results", "total_pages", "page_size"))
            if total is not None:
                each = each or size
                wanted = min(each, total - (number - 1) * each)
                if len(data) >= wanted:
                    return items, number * each >= total
            elif pages is not None:
                if items or number >= pages:
                    return items, number >= pages
            elif nth == ATTEMPTS // 2:  # it has none, and will not have one
                return items, None
            why = "with fewer items than it says it has"
            self.pace.failed(nth)
        raise UnansweredError(f"{endpoint}: page {number} came {ATTEMPTS} times, the last time {why}")

    async def _document(self, endpoint: str, ask: Ask) -> dict[str, Any] | None:
        """A whole answer with `data`, or None for a 404."""
        failures, limited, why = 0, 0, ""
        while failures < ATTEMPTS and limited < ATTEMPTS_WHEN_LIMITED:
            await self.pace.turn()
            self.requests[endpoint] += 1
            self.on_request(endpoint)
            try:
                return await self._answer(endpoint, ask)
            except telnyx.RateLimitError as error:
                limited += 1
                why = "too many requests (429)"
                self.pace.limited(error.response.headers, limited)
            except _AgainError as error:
                failures += 1
                why = str(error)
                self.pace.failed(failures)
        raise UnansweredError(f"{endpoint}: no answer after {failures + limited} attempts, the last: {why}")

    async def _answer(self, endpoint: str, ask: Ask) -> dict[str, Any] | None:
        """The answer to one attempt, None for a 404. Raises _AgainError where another attempt may do better."""
        try:
            response = await ask()
            self.pace.heed(response.headers)
            text = await response.read()
        except telnyx.RateLimitError:
            raise
        except telnyx.NotFoundError:
            return None
        except telnyx.APIStatusError as error:
            raise _explained(endpoint, error, self.client.api_key) from None
        except telnyx.APIError as error:
            raise _unsent(endpoint, error) from None
        except (ValueError, httpx.InvalidURL):
            raise _unaskable(endpoint) from None
        try:
            document = json.loads(text)
        except RecursionError:
            raise UnansweredError(f"{endpoint}: the answer is nested too deeply to be read") from None
        except ValueError:
            raise _AgainError("an answer that breaks off") from None
        if not isinstance(document, dict) or document.get("data") is None:
            raise _AgainError("an answer without data")
        return document


class _AgainError(Exception):
    """Worth another attempt. The text says why."""


def _unsent(endpoint: str, error: telnyx.APIError) -> Exception:
    """Why there is no answer: no connection, none in time, or one that our transport does not take."""
    match error.__cause__:
        case transport.AnswerError() as cause:
            return QuestionRefusedError(
                f"{endpoint}: expected an answer of Telnyx's API, came {cause}: check TELNYX_BASE_URL"
            )
        case transport.TargetError():
            return _unaskable(endpoint)
        case _:
            return _AgainError(type(error).__name__)


def _unaskable(endpoint: str) -> UnaskableError:
    return UnaskableError(f"{endpoint}: the name of what is asked for cannot be a part of a path")


def _explained(endpoint: str, error: telnyx.APIStatusError, key: str | None) -> Exception:
    status = error.status_code
    if status == 401:
        return UnauthorizedError(
            "Telnyx does not accept TELNYX_API_KEY (401): expected a v2 API key of the account, from Mission Control, "
            "API keys"
        )
    if status == 403:
        return ForbiddenError(f"{endpoint}: this key may not use it (403): allow it, or do without")
    if status >= 500 or status in {408, 409}:
        return _AgainError(f"status {status}")
    return QuestionRefusedError(f"{endpoint}: refused with {status}: {_titles(error, key)}")


def _whole(meta: object, name: str) -> int | None:
    value = meta.get(name) if isinstance(meta, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _titles(error: telnyx.APIStatusError, key: str | None) -> str:
    """What Telnyx says is wrong, without anything that was asked, on one line; the key is in none of it."""
    body = error.body
    errors = body.get("errors") if isinstance(body, dict) else None
    titles = [each.get("title") for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []
    said = [title.replace(key or "\0", "[the key]") for title in titles[:MAX_TITLES] if isinstance(title, str)]
    return ", ".join(_printable(title[:100]) for title in said) or "no reason given"


def _printable(text: str) -> str:
    r"""The text with characters that could drive a terminal, or reorder it, spelt out: `\x1b`, `\u202e`."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
