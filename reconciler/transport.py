"""The transport to Telnyx: no redirect is followed, and no answer is larger or takes longer than its bound.

httpx bounds neither: its timeouts are of one read, and it inflates whatever comes. Here an answer is read whole, under
one deadline, and inflated only up to the bound.
"""

import asyncio
import urllib.request
import zlib

import httpx

MAX_ANSWER_BYTES = 8 << 20
"""Of an answer as sent, and as inflated: 250 webhooks of 33 kB; parsed it takes some 200 MB."""
MAX_TARGET_BYTES = 8_000
"""Of a path and its query. Servers refuse longer ones, and the names in it come from Telnyx's own lists."""
DEADLINE_S = 60.0
"""From the first byte of a request to the last of its answer."""

_GZIP = 16 + zlib.MAX_WBITS


class AnswerError(Exception):
    """The answer cannot be used, and asking again would bring no better one. The text says why."""


class TargetError(Exception):
    """The request has a target that is too long to be asked for."""


class BoundedTransport(httpx.AsyncBaseTransport):
    """Another transport, with bounds. Raises AnswerError, TargetError, and httpx's errors."""

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        *,
        max_bytes: int = MAX_ANSWER_BYTES,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._inner, self._max_bytes, self._deadline_s = inner, max_bytes, deadline_s

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if len(request.url.raw_path) > MAX_TARGET_BYTES:
            raise TargetError
        request.headers["Accept-Encoding"] = "gzip"
        try:
            async with asyncio.timeout(self._deadline_s):
                answer = await self._inner.handle_async_request(request)
                try:
                    if answer.is_redirect:
                        raise AnswerError(f"a redirect ({answer.status_code}), which is not followed")
                    content = self._inflated(await self._read(answer), answer.headers.get("content-encoding"))
                finally:
                    await answer.aclose()
        except TimeoutError:
            raise httpx.ReadTimeout(f"no whole answer within {self._deadline_s:g} s", request=request) from None
        headers = [(name, value) for name, value in answer.headers.multi_items() if not name.startswith(_OF_CONTENT)]
        return httpx.Response(answer.status_code, headers=headers, content=content)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _read(self, answer: httpx.Response) -> bytes:
        content = bytearray()
        async for chunk in answer.aiter_raw():
            content += chunk
            if len(content) > self._max_bytes:
                raise self._too_large()
        return bytes(content)

    def _inflated(self, content: bytes, encoding: str | None) -> bytes:
        if encoding is None or encoding.strip().lower() in {"", "identity"}:
            return content
        if encoding.strip().lower() not in {"gzip", "x-gzip"}:
            raise AnswerError("an encoding that was not asked for: expected gzip or none")
        inflater = zlib.decompressobj(_GZIP)
        try:
            inflated = inflater.decompress(content, self._max_bytes + 1)
        except zlib.error:
            raise AnswerError("gzip that cannot be inflated") from None
        if len(inflated) > self._max_bytes:
            raise self._too_large()
        return inflated

    def _too_large(self) -> AnswerError:
        return AnswerError(f"more than {self._max_bytes >> 20} MiB, which is not read")


_OF_CONTENT = ("content-", "transfer-encoding")
"""Headers that no longer hold; and JSON has no charset, while Python would take `bz2` for one."""


def opened(base_url: str) -> BoundedTransport:
    """Return the transport to an address: through the proxy that the environment names for it, if any."""
    url = httpx.URL(base_url)
    proxies = {} if urllib.request.proxy_bypass(url.host) else urllib.request.getproxies()
    return BoundedTransport(httpx.AsyncHTTPTransport(proxy=proxies.get(url.scheme) or proxies.get("all")))
