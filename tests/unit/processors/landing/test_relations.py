"""The relations of landing are the declared ones, with the declared columns, written by the modules named there."""

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import duckdb
import pytest

from processors.landing.landing import Landing
from processors.landing.relations import RELATIONS
from tests.support.builders import NOON, Warehouse, a_call, a_conference, opened_warehouse

DECLARED = {relation.name: relation for relation in RELATIONS}
WRITTEN = re.compile(r"(create or replace temp (?:table|view)|insert into|update|delete from) +(\w+)")
QUEUED = list(a_call("ann").queued(at=NOON).answered(after=41).talked(9))
HALF_NAMED = list(a_call("zoe").queued(at=NOON).answered(after=30))
WORDS = a_call("bob").told("call.dtmf.received", after=0, digit="1").events[0]
BATCHES = {
    "a call": QUEUED,
    "one that came twice, with a junk record": [*QUEUED, QUEUED[0]],
    "one event under two ids": [QUEUED[0].but(event_id="a-twin")],
    "one id with two contents": [replace(QUEUED[1], payload={**QUEUED[1].payload, "queue": "elsewhere"})],
    "two contents of a type without facts": [WORDS, replace(WORDS, payload={**WORDS.payload, "digit": "2"})],
    "one id of two": [
        replace(event, payload={name: said for name, said in event.payload.items() if name != "call_control_id"})
        for event in HALF_NAMED[:1]
    ],
    "then both": HALF_NAMED[1:],
    "a join with one id of two": [a_conference().created().joined("zoe", 9).events[1].without("call_control_id")],
    "one without a time": [QUEUED[0].but(event_id="undated", at=None)],
    "a conference": a_conference().created().joined("ann", 1).left("ann", 9).ended(20).events,
}


class Watched:
    """A connection that notes which module writes which relation."""

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        self.db = db
        self.writes: set[tuple[str, str, bool]] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.db, name)

    def execute(self, statement: Any, parameters: Any = None) -> duckdb.DuckDBPyConnection:
        text = re.sub(r"--[^\n]*", "", statement if isinstance(statement, str) else statement.query).strip()
        if (
            found := re.match(r"(create or replace temp (?:table|view)|insert into|update|delete from) +(\w+)", text)
        ) is not None:
            self.writes.add((found[2], _writer(), found[1].startswith("create")))
        return self.db.execute(statement, parameters)


def _writer() -> str:
    """The module of `processors` that gave the statement."""
    frame = sys._getframe()
    while not frame.f_globals["__name__"].startswith("processors."):
        assert frame.f_back is not None
        frame = frame.f_back
    return str(frame.f_globals["__name__"]).removeprefix("processors.")


@pytest.fixture(scope="module")
def watched() -> Iterator[tuple[Warehouse, Watched]]:
    """A warehouse in which all kinds of batches landed, each read ahead and not."""
    with opened_warehouse() as warehouse:
        connection = Watched(warehouse.db)
        warehouse.landing = Landing(cast("duckdb.DuckDBPyConnection", connection), publishes=True)
        for origin in ("reconciler", "webhook"):
            for events in BATCHES.values():
                warehouse.land_bodies([event.body() for event in events], origin=origin)
                warehouse.land(*(event.but(event_id=f"{event.event_id}-{origin}") for event in events), ahead=True)
        warehouse.land_bodies([b"junk"])
        yield warehouse, connection


def test_every_relation_is_declared_with_its_columns(watched: tuple[Warehouse, Watched]) -> None:
    made = dict(
        watched[0]
        .db.execute(
            """
            select table_name, string_agg(column_name, ', ' order by column_index)
            from duckdb_columns()
            where table_name in (from (select table_name from duckdb_tables() where temporary))
            or table_name in (from (select view_name from duckdb_views() where temporary and not internal))
            group by table_name
            """
        )
        .fetchall()
    )
    assert made == {name: relation.columns for name, relation in DECLARED.items()}


def test_relations_are_written_by_the_modules_that_are_named(watched: tuple[Warehouse, Watched]) -> None:
    _, connection = watched
    of_relations = {each for each in connection.writes if each[0] in DECLARED}
    for name, module, makes in of_relations:
        relation = DECLARED[name]
        assert module in (relation.made_by if makes else relation.changed_by), (name, module)
    for name, relation in DECLARED.items():
        writers = {(module, makes) for written, module, makes in of_relations if written == name}
        assert {module for module, makes in writers if makes} == set(relation.made_by) - {"landing.speculator"}, name
        assert {module for module, makes in writers if not makes} == set(relation.changed_by), name
