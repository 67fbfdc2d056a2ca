"""Deadlines cancel what is late, and only that."""

import asyncio

import pytest

from ingest.http.deadline import Deadlines


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
        with pytest.raises(TimeoutError), deadlines.begin(0.01):
            await forever()
        assert cancelled == [True]
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        with deadlines.begin(5):
            assert await asyncio.sleep(0, "in time") == "in time"

    asyncio.run(scenario())


def test_somebody_elses_cancellation_goes_on_its_way() -> None:
    async def scenario() -> None:
        async def patient() -> None:
            with Deadlines().begin(60):
                await asyncio.Event().wait()

        task = asyncio.create_task(patient())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())


def test_an_error_within_the_deadline_is_its_own() -> None:
    async def failing() -> None:
        raise OSError("as it is")

    async def scenario() -> None:
        with pytest.raises(OSError, match="as it is"), Deadlines().begin(60):
            await failing()

    asyncio.run(scenario())


def test_a_late_task_among_many_does_not_take_the_others_along() -> None:
    async def scenario() -> list[object]:
        deadlines = Deadlines()

        async def wait(late: bool) -> bool:
            with deadlines.begin(0.01 if late else 60):
                return await asyncio.sleep(0.3, late)

        return list(await asyncio.gather(*map(wait, (False, True, False)), return_exceptions=True))

    first, second, third = asyncio.run(scenario())
    assert (first, third) == (False, False)
    assert isinstance(second, TimeoutError)
