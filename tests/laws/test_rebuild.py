"""The laws of rebuilding: however history is cut and however often it is interrupted, the facts are the live ones."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from processors.landing.evaluation import LONGEST_WAIT
from processors.replay.rebuild import rebuild
from processors.replay.slices import Slicing
from tests.support.builders import (
    FACT_TABLES,
    Warehouse,
    opened_warehouse,
)
from tests.support.effort import tried
from tests.support.fragile import Fragile, InterruptedLandingError
from tests.support.histories import (
    CLOCKS,
    HISTORIES,
    Told,
    delivery,
)
from tests.support.landing import WAYS, everything, landed

CLOCK = st.sampled_from(CLOCKS)
SLICINGS = st.builds(
    Slicing,
    events=st.integers(1, 12),
    granule=st.sampled_from([timedelta(microseconds=1), timedelta(seconds=1), timedelta(hours=10), timedelta(days=1)]),
)
FINEST = Slicing(events=1, granule=timedelta(microseconds=1))


def broken(warehouse: Warehouse) -> None:
    """Leave no fact as it was, so that a rebuild has all to do."""
    for table in FACT_TABLES:
        warehouse.db.execute(f"delete from {table}")
    warehouse.db.execute("delete from bridged_connections")
    warehouse.db.execute("insert into bridged_connections values ('never heard of')")


def tables(warehouse: Warehouse) -> list[tuple[str, ...]]:
    """All tables as they were made, those of the connection too; what rebuilding leaves to derivations apart."""
    return warehouse.db.execute(
        "select database_name, sql from duckdb_tables() where not temporary or table_name like 'bridged%' order by all"
    ).fetchall()


@tried(6)
@given(HISTORIES, WAYS, CLOCK, SLICINGS)
def test_facts_rebuilt_in_slices_of_any_size_are_the_live_ones(
    history: list[Told], way: int, clock: datetime, slicing: Slicing
) -> None:
    with opened_warehouse() as warehouse:
        wanted = everything(landed(warehouse, delivery(history, way=way, clock=clock)))
        made = tables(warehouse)
        broken(warehouse)
        steps = list(rebuild(warehouse.db, slicing=slicing))
        assert everything(warehouse) == wanted
        assert tables(warehouse) == made
        assert steps == sorted(steps)
        assert steps[-1] == (len(wanted["stored_events"]),) * 2


@tried(4)
@given(HISTORIES, CLOCK, st.integers(1, 60), SLICINGS)
def test_a_rebuild_interrupted_at_every_few_statements_ends_as_an_undisturbed_one(
    history: list[Told], clock: datetime, statements: int, slicing: Slicing
) -> None:
    with opened_warehouse() as warehouse:
        wanted = everything(landed(warehouse, delivery(history, way=0, clock=clock)))
        broken(warehouse)
        before = everything(warehouse)
        fragile = Fragile(warehouse.db)
        while everything(warehouse) == before:
            fragile.left = statements
            try:
                for _ in rebuild(fragile, slicing=slicing):  # type: ignore[arg-type] # it quacks like a connection
                    pass
            except InterruptedLandingError:
                statements += 7  # or one that is cut off early each time would never get anywhere
        assert everything(warehouse) == wanted


@tried(4)
@given(HISTORIES, WAYS, WAYS, CLOCK, st.integers(0, 8))
def test_what_lands_between_two_halves_of_a_rebuild_is_in_its_facts(
    history: list[Told], way: int, other: int, clock: datetime, steps: int
) -> None:
    arrived = delivery(history, way=way, clock=clock)
    with opened_warehouse() as warehouse, opened_warehouse() as undisturbed:
        wanted = landed(undisturbed, arrived).facts()
        early = history[: other % (len(history) + 1)]
        landed(warehouse, delivery(early, way=0, clock=min(each.now for each in arrived.batches)))
        rebuilding = rebuild(warehouse.db, longest_wait=LONGEST_WAIT, slicing=FINEST)
        for _ in zip(range(steps), rebuilding, strict=False):
            pass
        del rebuilding
        landed(warehouse, arrived)
        for _ in rebuild(warehouse.db, slicing=FINEST):
            pass
        assert warehouse.facts() == wanted
