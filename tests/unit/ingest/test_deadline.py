"""Deadlines cancel what is late, and only that."""

import asyncio

import pytest

from ingest.deadline import Deadlines


def test_what_is_late_is_cancelled_and_told_so() -> None:
    cancelled = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def scenario() -> None:
        deadlines = Deadlines()
        with pytest.raises(TimeoutError):
            await deadlines.within(0.01, forever())
        assert cancelled == [True]
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        assert await deadlines.within(5, asyncio.sleep(0, "in time")) == "in time"

    asyncio.run(scenario())


def test_somebody_elses_cancellation_goes_on_its_way() -> None:
    async def scenario() -> None:
        deadlines = Deadlines()
        task = asyncio.create_task(deadlines.within(60, asyncio.Event().wait()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())


def test_an_error_within_the_deadline_is_its_own() -> None:
    async def failing() -> None:
        raise OSError("as it is")

    async def scenario() -> None:
        with pytest.raises(OSError, match="as it is"):
            await Deadlines().within(60, failing())

    asyncio.run(scenario())


def test_a_late_task_among_many_does_not_take_the_others_along() -> None:
    async def scenario() -> list[object]:
        deadlines = Deadlines()
        waits = [deadlines.within(0.01 if late else 60, asyncio.sleep(0.3, late)) for late in (False, True, False)]
        return list(await asyncio.gather(*waits, return_exceptions=True))

    first, second, third = asyncio.run(scenario())
    assert (first, third) == (False, False)
    assert isinstance(second, TimeoutError)
