"""The thread in which the SQLite log's writer waits for the disk, so that the event loop does not."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class DiskThread:
    """One thread for all that waits for the disk, made for an event loop.

    It takes a third of the time of an executor, which makes two futures a call.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._jobs: SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="log-disk", daemon=True)
        self._thread.start()

    async def run(self, job: Callable[[], T]) -> T:
        """Do the job in the thread, after those before it; return its answer, raise what it raised."""
        done: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put((job, done))
        return await done

    def stop(self) -> None:
        """End the thread, after the jobs that it has."""
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (next_job := self._jobs.get()) is not None:
            job, done = next_job
            try:
                answer = job()
            except Exception as error:  # noqa: BLE001 - raised where the job is awaited
                self._loop.call_soon_threadsafe(settle, done, None, error)
            else:
                self._loop.call_soon_threadsafe(settle, done, answer, None)


def settle(done: asyncio.Future[Any], answer: object, error: Exception | None) -> None:
    """Give a future its answer, or its error, unless it was cancelled."""
    if done.done():
        return
    if error is None:
        done.set_result(answer)
    else:
        done.set_exception(error)
