"""A center as a state machine: whatever comes, in whatever way, through whatever crash, its warehouse ends up the same.

Its log holds arbitrary deliveries of an arbitrary history; its warehouse is a file. The steps are what may happen to
the two, in any order. At the end, everything that came is compared with three others: a warehouse that landed each
event once, all at once and in order; a rebuild; and what the rules say, read aloud.
"""

import io
import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as hypothesis_seed
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, get_state_machine_test, initialize, precondition, rule

from eventlog.batch import Batch
from processors.facts import FACTS
from processors.landing.landing import Landing
from processors.replay.rebuild import rebuild
from tests.support.builders import (
    NOON,
    Warehouse,
    microseconds,
    opened_warehouse,
)
from tests.support.fragile import Fragile, InterruptedLandingError
from tests.support.histories import (
    HISTORIES,
    JUMPS,
    Told,
)
from tests.support.landing import expected, shown
from tests.support.model.happening import ORIGINS
from warehouse.database import open_writer

STEPS = 12
PARTITIONS = (0, 5)
FAR = (
    *(NOON - timedelta(days=400), NOON - timedelta(hours=30), NOON + timedelta(hours=30), NOON + timedelta(days=400)),
    *(datetime(1970, 1, 1, tzinfo=UTC), datetime(2199, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
)
LEDGERS = ("bridged_connections", "undated_events")
OF_THE_DELIVERY = "stored_at, body, log_partition, log_offset, origin, verified"
"""The columns of `events` that say which delivery of an event was the first."""

STATEMENTS = st.integers(0, 60)
ENDINGS = st.sampled_from(("exception", "kill"))


@dataclass(frozen=True)
class Arrived:
    """A delivery in the log."""

    partition: int
    offset: int
    told: Told
    body: bytes
    origin: str


class Doomed(Fragile):
    """A fragile connection; at the statement that fails, somebody looks at the files before anything is undone."""

    def __init__(self, db: duckdb.DuckDBPyConnection, last_look: Callable[[], None]) -> None:
        super().__init__(db)
        self._last_look = last_look

    def _count(self) -> None:
        try:
            super()._count()
        except InterruptedLandingError:
            self._last_look()
            raise


class CenterMachine(RuleBasedStateMachine):
    """The steps, and what must be so after the last."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="holdtime-law-"))
        self.file = self.folder / "warehouse-0.duckdb"
        self.db = open_writer(self.file)
        self.clock = NOON
        self.history: list[Told] = []
        self.log: list[Arrived] = []
        self.openings = 0

    @initialize(history=HISTORIES)
    def something_happens(self, history: list[Told]) -> None:
        self.history = list(history)

    @precondition(lambda self: self.history)
    @rule(
        partition=st.sampled_from(PARTITIONS),
        picks=st.lists(st.tuples(st.integers(0, 80), st.integers(1, 3)), min_size=1, max_size=20),
    )
    def deliveries_come(self, partition: int, picks: list[tuple[int, int]]) -> None:
        for pick, attempt in picks:
            self._comes(self.history[pick % len(self.history)], attempt, partition)

    @precondition(lambda self: self.history)
    @rule(partition=st.sampled_from(PARTITIONS), random=st.randoms(use_true_random=False))
    def all_of_it_comes_in_any_order(self, partition: int, random: Any) -> None:
        shuffled = list(self.history)
        random.shuffle(shuffled)
        for told in shuffled:
            self._comes(told, 1, partition)

    @precondition(lambda self: self.history)
    @rule(pick=st.integers(0, 80), at=st.sampled_from(FAR), late=st.integers(-1, 1))
    def something_is_told_of_a_far_time(self, pick: int, at: datetime, late: int) -> None:
        """Another event like one there was; `late` microseconds later where that is a time that we believe."""
        told = self.history[pick % len(self.history)]
        if told.event.at is None:
            return
        if at not in FAR[-2:]:
            at += timedelta(microseconds=late)
        event_id = f"{len(self.history):03}-far-{told.event.event_id}"
        far = Told(
            told.event.but(event_id=event_id, at=at),
            told.received_at,
            replace(told.happening, event_id=event_id, at=at),
        )
        self.history.append(far)
        self._comes(far, 1, PARTITIONS[0])

    @rule(limit=st.integers(1, 40), again=st.integers(0, 3), jump=st.sampled_from(JUMPS))
    def a_batch_lands(self, limit: int, again: int, jump: timedelta) -> None:
        """Perhaps with records that have landed already, and by a clock that jumped."""
        Landing(self.db).land(self._next(limit, again), self.clock + jump)

    @rule(jump=st.sampled_from(JUMPS))
    def the_clock_jumps_in_an_idle_center(self, jump: timedelta) -> None:
        Landing(self.db).land(self._batch([]), self.clock + jump)

    @rule(jump=st.sampled_from(JUMPS))
    def a_rebuild_mends_what_a_jump_ahead_left(self, jump: timedelta) -> None:
        """After it, an evaluation by the right clock has nothing left to do."""
        Landing(self.db).land(self._batch([]), self.clock + abs(jump))
        for _ in rebuild(self.db, now=self.clock):
            pass
        assert not any(Landing(self.db).land(self._batch([]), self.clock).facts.values())

    @rule(limit=st.integers(1, 40), statement=STATEMENTS, ending=ENDINGS)
    def a_batch_is_interrupted(self, limit: int, statement: int, ending: str) -> None:
        batch = self._next(limit, 0)
        with self._interrupted(statement, ending) as db:
            Landing(db).land(batch, self.clock)

    @rule(minutes=st.sampled_from((1, 60, 12 * 60, 24 * 60, 24 * 60 + 1, 9 * 24 * 60)))
    def time_passes(self, minutes: int) -> None:
        self.clock += timedelta(minutes=minutes)
        Landing(self.db).land(self._batch([]), self.clock)

    @rule()
    def facts_are_rebuilt(self) -> None:
        before = self._everything()
        for _ in rebuild(self.db):
            pass
        assert self._everything() == before

    @rule(statement=STATEMENTS, ending=ENDINGS)
    def a_rebuild_is_interrupted(self, statement: int, ending: str) -> None:
        before = self._everything()
        with self._interrupted(statement, ending) as db:
            for _ in rebuild(db):
                pass
        assert self._everything() == before

    @rule()
    def the_file_is_checkpointed(self) -> None:
        self.db.execute("checkpoint")

    @rule(killed=st.booleans())
    def the_process_ends_and_another_begins(self, killed: bool) -> None:
        if killed:
            self._copy()
        self._reopen()

    def teardown(self) -> None:
        try:
            Landing(self.db).land(self._next(len(self.log), 0), self.clock)
            self._compare()
        finally:
            self.db.close()
            shutil.rmtree(self.folder)

    def _compare(self) -> None:
        warehouse = Warehouse(self.db, Landing(self.db))
        found = self._everything()
        ends = {record.partition: record.offset for record in self.log}
        assert warehouse.positions() == ends
        came = {(record.partition, record.offset): record.body for record in self.log}
        for body, *position in self.db.execute("select body, log_partition, log_offset from events").fetchall():
            assert body.encode() == came[position[0], position[1]]
        best = {
            record.told.event.event_id: record.origin
            for record in sorted(self.log, key=lambda record: -ORIGINS.index(record.origin))
        }
        at_once = [
            replace(each, happening=replace(each.happening, origin=best[each.event.event_id]))
            for each in self.history
            if each.event.event_id in best
        ]
        with opened_warehouse() as other:
            other.land_bodies(
                [each.event.body() for each in at_once],
                now=self.clock,
                received=[each.received_at for each in at_once],
                origin=[each.happening.origin for each in at_once],
            )
            assert found == _everything(other.db)
        self.facts_are_rebuilt()
        assert shown(warehouse) == expected(at_once, judged_at=self.clock)

    def _comes(self, told: Told, attempt: int, partition: int) -> None:
        offset = 1 + sum(record.partition == partition for record in self.log)
        origin = told.origins[attempt % len(told.origins)]
        self.log.append(Arrived(partition, offset, told, told.event.body(attempt=attempt), origin))

    def _next(self, limit: int, again: int) -> Batch:
        """The records that have not landed, and of each partition up to `again` that have."""
        landed = Landing(self.db).positions()
        ahead = [each for each in self.log if each.offset > landed.get(each.partition, 0) - again]
        return self._batch(ahead[:limit])

    @staticmethod
    def _batch(records: list[Arrived]) -> Batch:
        return Batch.of(
            partitions=[each.partition for each in records],
            offsets=[each.offset for each in records],
            received_us=[microseconds(each.told.received_at) for each in records],
            origins=[each.origin for each in records],
            verified=[each.origin == "webhook" for each in records],
            rejections=[None] * len(records),
            bodies=[each.body for each in records],
        )

    @contextmanager
    def _interrupted(self, statement: int, ending: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection whose n-th statement fails, if there are so many; a kill leaves the files as they then were."""
        doomed = Doomed(self.db, self._copy if ending == "kill" else lambda: None)
        doomed.left = statement
        try:
            yield doomed  # type: ignore[misc] # it walks and quacks like a connection
        except InterruptedLandingError:
            if ending == "kill":
                self._reopen()

    def _copy(self) -> None:
        """Keep the files as they are, mid-flight."""
        self.openings += 1
        copy = self.folder / f"warehouse-{self.openings}.duckdb"
        for suffix in ("", ".wal"):
            original = self.file.with_name(self.file.name + suffix)
            if original.exists():
                shutil.copyfile(original, copy.with_name(copy.name + suffix))
        self.file = copy

    def _reopen(self) -> None:
        self.db.close()
        self.db = open_writer(self.file)

    def _everything(self) -> dict[str, list[tuple[Any, ...]]]:
        return _everything(self.db)


def _everything(db: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every fact and ledger, all columns, and of the events those that are not about one delivery."""
    tables = {name: f"from {name}" for name in (*LEDGERS, *(fact.table for fact in FACTS))}
    tables["events"] = f"select * exclude ({OF_THE_DELIVERY}) from events"
    return {name: sorted(db.execute(query).fetchall(), key=repr) for name, query in tables.items()}


def searched(*, examples: int, seed: int, shrink: bool = True) -> str | None:
    """Try so many arbitrary histories; one that breaks a law, as the steps to repeat it, or None.

    To shrink it to the shortest may take another five minutes.
    """
    said = io.StringIO()
    search = get_state_machine_test(
        CenterMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            phases=[phase for phase in Phase if shrink or phase is not Phase.shrink],
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    try:
        with redirect_stdout(said):
            hypothesis_seed(seed)(search)()
    except Exception as error:  # noqa: BLE001 - whatever is raised breaks the law
        return said.getvalue() + "".join(traceback.format_exception(error))
    return None
