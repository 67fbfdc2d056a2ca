"""What the watch over landing does about a thread that is stuck."""

import asyncio
import os
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from eventlog.log import Log
from holdtime.service import landing_watch
from holdtime.service.landing_state import LandingState
from holdtime.service.landing_watch import LandingWatch
from holdtime.service.steady_clock import SteadyClock
from holdtime.service.watchdog import Watchdog
from processors.metrics import ProcessorMetrics
from processors.progress import Progress
from warehouse.errors import Trouble


class GrowingLog:
    """A record more at every look."""

    FIRST_OFFSET = 1

    def __init__(self) -> None:
        self.held = 0

    def end(self) -> dict[int, int]:
        self.held += 1
        return {0: self.held}


class _EndedError(Exception):
    """In place of the end of the process."""


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was printed and ended, in order."""
    done: list[str] = []

    def end(code: int) -> None:
        done.append(f"exit {code}")
        raise _EndedError

    monkeypatch.setattr(landing_watch, "POLL_S", 0.001)
    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr("faulthandler.dump_traceback", lambda *_, all_threads: done.append(f"stacks {all_threads}"))
    return done


def a_watch(*, ingests: bool, stop: threading.Event) -> LandingWatch:
    """A watch over landing that has got nowhere."""
    metrics = ProcessorMetrics(CollectorRegistry())
    return LandingWatch(
        cast("Log", cast("Any", GrowingLog())),
        Progress(),
        LandingState(Path("warehouse.duckdb"), metrics),
        metrics,
        SteadyClock(),
        ingests,
        stop,
        timedelta(0),
        Watchdog(timedelta(0)),
    )


async def _nothing() -> None:
    pass


def test_a_process_that_only_lands_prints_every_stack_and_ends(printed: list[str]) -> None:
    with pytest.raises(_EndedError):
        asyncio.run(a_watch(ingests=False, stop=threading.Event()).run(_nothing))
    assert printed == ["stacks True", "exit 1"]


def test_a_process_that_takes_deliveries_goes_on_until_it_is_told_to_stop(printed: list[str]) -> None:
    stop = threading.Event()
    watch = a_watch(ingests=True, stop=stop)

    async def scenario() -> None:
        watching = asyncio.create_task(watch.run(_nothing))
        while watch.state.away is None:  # noqa: ASYNC110 - the watch has no event for it
            await asyncio.sleep(0.001)
        assert watch.state.away.why is Trouble.STUCK
        assert printed == ["stacks True"]
        stop.set()
        await watching

    with pytest.raises(_EndedError):
        asyncio.run(asyncio.wait_for(scenario(), 10))
    assert printed == ["stacks True", "stacks True", "exit 1"]
