"""Steps from one version of the schema to the next."""

from pathlib import Path

import duckdb
import pytest

from tests.support.builders import NOON
from warehouse import database, migrations
from warehouse.database import SCHEMA_VERSION, open_writer
from warehouse.query import value

NEXT = SCHEMA_VERSION + 1
ADD = "alter table rejected add column note varchar"
FILL = "update rejected set note = 'none'"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A warehouse with something in it."""
    path = tmp_path / "warehouse.duckdb"
    db = open_writer(path)
    db.execute("insert into rejected values ('not_json', $1, $1, 'webhook', true, '\\xFF'::blob, 0, 1)", [NOON])
    db.close()
    return path


def version_and_notes(path: Path) -> tuple[int, list[str]]:
    with duckdb.connect(path, read_only=True) as db:
        notes = [name for (name,) in db.execute("select column_name from (describe rejected)").fetchall()]
        return value(db, "select schema_version from warehouse"), [name for name in notes if name == "note"]


def test_every_version_since_the_first_says_how_it_is_reached() -> None:
    assert list(migrations.MIGRATIONS) == list(range(2, SCHEMA_VERSION + 1))
    for name in migrations.MIGRATIONS.values():
        assert name is migrations.REREAD or Path(migrations.__file__).with_name(name).is_file()


def test_reading_anew_leads_over_all_versions_at_once(tmp_path: Path) -> None:
    assert migrations.statements(1, 2, {2: migrations.REREAD}) is None
    assert migrations.statements(3, 3, {2: migrations.REREAD}) == {}
    assert migrations.statements(1, 3, {2: migrations.REREAD, 3: "__init__.py"}) is None
    steps = migrations.statements(2, 3, {2: migrations.REREAD, 3: "__init__.py"})
    assert steps is not None
    assert list(steps) == [3]


def test_what_sql_can_say_is_run_when_the_writer_opens_the_warehouse(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "SCHEMA_VERSION", NEXT)  # a version that is still to come
    monkeypatch.setattr(migrations, "statements", lambda found, expected: {expected: f"{ADD}; {FILL}"})
    db = open_writer(path)
    assert db.execute("select note from rejected").fetchall() == [("none",)]
    db.close()
    assert version_and_notes(path) == (NEXT, ["note"])


def test_a_step_that_fails_leaves_the_version_before_it(path: Path) -> None:
    with duckdb.connect(path) as db, pytest.raises(duckdb.CatalogException):
        migrations.apply(db, {NEXT: ADD, NEXT + 1: f"{FILL}; alter table nobody rename to somebody"})
    assert version_and_notes(path) == (NEXT, ["note"])
    with duckdb.connect(path) as db:
        assert db.execute("select note from rejected").fetchall() == [(None,)]
