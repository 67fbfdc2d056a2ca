"""Rebuilding: the same facts from the whole history, or nothing at all."""

from collections.abc import Generator, Iterator
from datetime import timedelta

import pytest

from processors.landing import Landing
from processors.rebuild import rebuild
from tests.builders import LATER, NOON, Warehouse, a_call, a_conference, opened_warehouse

HOUR = timedelta(hours=1)


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    with opened_warehouse() as opened:
        opened.land(
            a_call("ann").queued(at=NOON).answered(after=41, ringing=2).talked(300),
            a_call("bob").queued(at=NOON),
            a_conference().created().joined("ann", 1).floor("ann", 2).left("ann", 60).ended(61),
        )
        yield opened


def test_a_rebuild_mends_what_somebody_broke(warehouse: Warehouse) -> None:
    before = warehouse.facts()
    warehouse.db.execute("update queue_visits set outcome = 'left', wait_ms = 0")
    warehouse.db.execute("delete from conferences")
    warehouse.db.execute("insert into participant_stays from participant_stays")
    warehouse.db.execute("insert into bridged_connections values ('never heard of')")
    assert warehouse.facts() != before
    warehouse.rebuild()
    assert warehouse.facts() == before
    assert warehouse.rows("bridged_connections") == [("2963572552552678752",)]


def test_a_rebuild_that_is_not_finished_changes_nothing_and_blocks_nothing(warehouse: Warehouse) -> None:
    before = warehouse.facts()
    rebuilding = rebuild(warehouse.db, longest_wait=HOUR)
    assert next(rebuilding) == (1, 1)
    assert isinstance(rebuilding, Generator)
    rebuilding.close()
    assert warehouse.facts() == before
    assert warehouse.land(a_call("cy").queued(at=NOON)).events == 1


def test_landing_goes_on_after_a_rebuild(warehouse: Warehouse) -> None:
    warehouse.rebuild()
    warehouse.land(a_call("bob", at=NOON).queued(at=NOON).hung_up(after=30).events[1])
    assert {visit["outcome"] for visit in warehouse.dicts("queue_visits")} == {"answered", "abandoned"}


def test_facts_of_another_longest_wait_are_refused_until_they_are_rebuilt(warehouse: Warehouse) -> None:
    with pytest.raises(ValueError, match=r"86400000 ms.*3600000 ms.*holdtime rebuild"):
        Landing(warehouse.db, longest_wait=HOUR)
    for _ in rebuild(warehouse.db, longest_wait=HOUR):
        pass
    assert [visit["outcome"] for visit in warehouse.dicts("queue_visits")] == ["answered", "unknown"]
    Landing(warehouse.db, longest_wait=HOUR)


def test_a_rebuild_of_nothing_leaves_nothing() -> None:
    with opened_warehouse() as empty:
        assert list(rebuild(empty.db)) == [(1, 1)]
        assert not any(empty.facts().values())


def test_a_rebuild_judges_by_the_clock_of_the_last_landing(warehouse: Warehouse) -> None:
    warehouse.land(now=LATER + 24 * HOUR)
    before = warehouse.facts()
    assert {visit["outcome"] for visit in warehouse.dicts("queue_visits")} == {"answered", "unknown"}
    warehouse.rebuild()
    assert warehouse.facts() == before
