"""A warehouse says by which definitions its facts were derived, and whether all of them were derived by the same."""

from collections.abc import Iterator

import pytest

from processors.definitions import digest
from processors.landing import Landing
from tests.builders import NOON, Warehouse, a_call, opened_warehouse


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    with opened_warehouse() as opened:
        opened.land(a_call().queued(at=NOON))
        yield opened


def test_a_warehouse_knows_the_definitions_that_its_facts_follow_from(warehouse: Warehouse) -> None:
    assert warehouse.rows("fact_definitions") == [(digest(),)]
    assert len(digest()) == 12


def test_facts_of_other_definitions_are_remembered_until_all_are_rebuilt(warehouse: Warehouse) -> None:
    warehouse.db.execute("update fact_definitions set digest = 'older'")
    for _ in range(2):
        Landing(warehouse.db)
    assert warehouse.rows("fact_definitions") == sorted([(digest(),), ("older",)])
    warehouse.rebuild()
    assert warehouse.rows("fact_definitions") == [(digest(),)]
