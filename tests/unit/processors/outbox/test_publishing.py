"""Publishing beside landing: a copy that cannot be put out is tried again, and the log keeps what no copy has."""

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import duckdb
import pytest
from prometheus_client import CollectorRegistry

from processors.metrics import ProcessorMetrics
from processors.progress import Progress
from processors.publishing import Publishing
from warehouse.errors import DamagedError, UnavailableError
from warehouse.replica import DamagedCopyError

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "replica.duckdb")


@dataclass
class Faulty:
    """A publisher that fails in one of its steps as long as there are `faults` for it."""

    in_copy: list[Exception] = field(default_factory=list)
    in_put_out: list[Exception] = field(default_factory=list)
    spoilt: list[str] = field(default_factory=list)
    damaged: bool = False
    put_outs: int = 0

    def copy(self) -> None:
        """Copy, or not."""
        if self.in_copy:
            raise self.in_copy.pop(0)

    def put_out(self) -> None:
        """Put out, or not."""
        if self.in_put_out:
            raise self.in_put_out.pop(0)
        self.put_outs += 1

    def blame(self, error: DamagedCopyError) -> None:
        """The warehouse, where it is `damaged`."""
        if self.damaged:
            raise DamagedError(str(error))

    def make_last(self) -> None:
        """Nothing is kept."""

    def spoiled(self) -> str | None:
        """Say what was done to it, once."""
        return self.spoilt.pop(0) if self.spoilt else None


@contextmanager
def publishing(publisher: Faulty) -> Iterator[Publishing]:
    metrics = ProcessorMetrics(CollectorRegistry())
    progress = Progress(landed={0: 7})
    with Publishing(publisher, progress, metrics, lambda: NOW, timedelta(0)) as made:
        yield made


def go_on_until(made: Publishing, happened: Callable[[], object], *, changed: bool = True) -> None:
    """As the landing thread does, over and over."""
    made.go_on(changed=changed)
    for _ in range(3_000):
        if happened():
            return
        time.sleep(0.01)
        made.go_on(changed=False)
    raise AssertionError(made.progress)


@pytest.mark.parametrize(
    ("in_copy", "in_put_out"),
    [
        ([FULL], []),
        ([], [FULL]),
        ([duckdb.IOException("Could not write file: No space left on device")], []),
        ([], [UnavailableError("cannot be checked now")]),
        ([], [DamagedCopyError("its disk is bad", [])]),
    ],
)
def test_what_could_not_be_put_out_is_tried_again_though_nothing_lands(
    in_copy: list[Exception], in_put_out: list[Exception]
) -> None:
    publisher = Faulty(list(in_copy), list(in_put_out))
    with publishing(publisher) as made:
        go_on_until(made, lambda: made.progress.unpublished)
        assert made.progress.published == {}, "the log would forget what no replica holds"
        go_on_until(made, lambda: made.progress.replica_at, changed=False)
    assert publisher.put_outs == 1
    assert made.progress.published == {0: 7}
    assert made.progress.unpublished is None


def test_what_is_published_is_what_had_landed_when_it_was_copied() -> None:
    with publishing(Faulty()) as made:
        made.go_on(changed=True)
        made.progress.landed = {0: 9}
        go_on_until(made, lambda: made.progress.replica_at, changed=False)
        assert made.progress.published == {0: 7}


def test_a_damaged_warehouse_is_said_in_the_thread_that_lands() -> None:
    publisher = Faulty([], [DamagedCopyError("a wrong checksum", [])], damaged=True)
    with publishing(publisher) as made, pytest.raises(DamagedError, match="a wrong checksum"):
        go_on_until(made, lambda: False)
    assert publisher.put_outs == 0


@pytest.mark.parametrize(
    "error",
    [
        duckdb.FatalException("FATAL Error: the database has been invalidated"),
        duckdb.IOException('Database "w" has been invalidated because checkpointing failed'),
        duckdb.Error("Corrupt database file: computed checksum 1 does not match stored checksum 2"),
    ],
)
def test_what_only_a_new_start_can_mend_is_raised(error: duckdb.Error) -> None:
    with publishing(Faulty([error])) as made, pytest.raises(duckdb.Error):
        made.go_on(changed=True)


def test_what_another_program_spoiled_is_published_again_though_nothing_lands() -> None:
    publisher = Faulty(spoilt=["another program wrote into it"])
    with publishing(publisher) as made:
        go_on_until(made, lambda: publisher.put_outs == 1, changed=False)
    assert publisher.spoilt == []
