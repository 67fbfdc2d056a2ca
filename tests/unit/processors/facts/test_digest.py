"""A warehouse says by which definitions its facts were derived, and whether all of them were derived by the same."""

from collections.abc import Iterator
from datetime import timedelta
from types import ModuleType
from typing import Any, cast

import duckdb
import pytest

from processors import facts
from processors.entities import (
    conflicts,
    episodes,
    identity,
    twins,
)
from processors.events import columns, reading
from processors.facts import derivation
from processors.facts import digest as digests
from processors.facts.derivation import Evaluation
from processors.facts.digest import digest
from processors.landing.landing import Landing
from tests.support.builders import (
    NOON,
    Warehouse,
    a_call,
    opened_warehouse,
)


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


@pytest.mark.parametrize(
    ("owner", "name", "changed"),
    [
        (reading, "STATEMENT", "select 1"),
        (columns, "MACROS", "create or replace temp macro quarter_of(moment) as (0)"),
        (digests, "EVENT_TYPES", frozenset({"call.hangup"})),
        (episodes, "SILENCE", timedelta(hours=23)),
        (episodes, "MONTH", timedelta(days=30)),
        (episodes, "STRETCHES", "moments as (select 1)"),
        (twins, "RANK", "1"),
        (conflicts, "CONTENT", "event_id"),
        (identity, "_MOVED", "select 1"),
        (facts, "_TEXTS", dict.fromkeys(facts._TEXTS, "select 1")),
    ],
)
def test_a_rule_that_changes_changes_the_digest(
    owner: ModuleType, name: str, changed: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digests.digest.__wrapped__()
    assert before == digest()
    monkeypatch.setattr(owner, name, changed)
    monkeypatch.setattr(facts, "statement", facts.statement.__wrapped__)
    assert digests.digest.__wrapped__() != before


def test_comments_spaces_and_names_of_files_change_no_digest() -> None:
    written = "-- why it's so\nselect a - b, 'it''s -- here'  -- and so\n  from c"
    assert digests.words(written) == digests.words("select a - b,\n'it''s -- here' from c")
    assert digests.words(written) != digests.words("select a - b, 'it''s - here' from c")
    for rule in map(digests.words, digests.rules()):
        assert ".py" not in rule
        assert ".sql" not in rule


def test_a_warehouse_whose_digest_is_of_the_same_rules_needs_no_rebuild(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(digests.SAME, "older", digest())
    warehouse.db.execute("update fact_definitions set digest = 'older'")
    Landing(warehouse.db)
    assert warehouse.rows("fact_definitions") == [(digest(),)]


def test_what_derivation_asks_a_database_is_in_the_digest(warehouse: Warehouse) -> None:
    recorded = Recording(warehouse.db)
    rules = set(map(digests.words, digests.rules()))
    asked = derivation.derive(cast("duckdb.DuckDBPyConnection", recorded), Evaluation(NOON, timedelta(hours=24)))
    assert asked.facts
    assert recorded.statements[1:]
    for statement in recorded.statements[1:]:  # the first looks which of the others there are to give
        assert digests.words(f"{statement} None") in rules
    for each in asked.facts:
        assert any(digests.words(each.fact.query(observed=False)) in rule for rule in rules)


class Recording:
    """A connection that keeps the statements it is given."""

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        self._db, self.statements = db, list[str]()

    def extract_statements(self, statements: str) -> list[duckdb.Statement]:
        return self._db.extract_statements(statements)

    def execute(self, statement: duckdb.Statement, parameters: Any = None) -> duckdb.DuckDBPyConnection:
        self.statements.append(statement.query)
        return self._db.execute(statement, parameters)
