"""How far back the list of call events is read: to the first gap, as far as the list goes."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from telnyx import AsyncTelnyx

from reconciler.api import Api
from reconciler.seen_events import ReplicaEvents
from reconciler.sources import Asking
from reconciler.sources.call_events import REACH, CallEvents
from reconciler.windows import Window
from tests.support.builders import NOON
from tests.support.reconciling import Center

HOUR = timedelta(hours=1)


def begun(folder: Path, *complete: Window) -> datetime:
    """From when on the list is asked for at noon, where that much of it was read."""
    center, asked = Center(folder, NOON), []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params["filter[occurred_at][gte]"])
        return httpx.Response(200, json={"data": [], "meta": {"total_results": 0, "page_size": 250}})

    async def read() -> None:
        http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        known = ReplicaEvents(folder / "replica.duckdb")
        async with AsyncTelnyx(api_key="K", base_url="http://telnyx.invalid/v2", http_client=http) as client:
            async for _ in CallEvents().read(Asking(Api(client), known, NOON, lambda: NOON)):
                pass
        known.close()

    center.warehouse.land_bodies([each.completed("call_events").body for each in complete], now=NOON, received=NOON)
    center.publish()
    asyncio.run(read())
    center.close()
    (first,) = asked
    return datetime.fromisoformat(first)


@pytest.mark.parametrize(
    ("complete", "begin"),
    [
        ([], NOON - REACH),
        ([Window(NOON - 9 * HOUR, NOON - HOUR)], NOON - 3 * HOUR),
        ([Window(NOON - 9 * HOUR, NOON - 7 * HOUR), Window(NOON - 5 * HOUR, NOON - HOUR)], NOON - 9 * HOUR),
        ([Window(NOON - 90 * HOUR, NOON - 70 * HOUR), Window(NOON - 5 * HOUR, NOON - HOUR)], NOON - 3 * HOUR),
        ([Window(NOON - 90 * HOUR, NOON - 70 * HOUR)], NOON - REACH),
    ],
    ids=["nothing read", "all read", "a gap within reach", "a gap out of reach", "nothing within reach"],
)
def test_reading_goes_back_to_the_first_gap_that_the_list_still_tells_of(
    tmp_path: Path, complete: list[Window], begin: datetime
) -> None:
    assert begun(tmp_path, *complete) == begin
