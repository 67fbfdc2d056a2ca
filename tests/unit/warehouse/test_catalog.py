"""What the warehouse says about itself, and that its page says the same."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from warehouse import catalog
from warehouse.catalog import GENERATED, describe, page
from warehouse.database import create_tables, open_reader, open_writer
from warehouse.query import value
from warehouse.replica import publish

PAGE = Path("docs/warehouse.md")
VIEWS = {"events", "queue_intervals", "service_levels", "queue_depth", "abandoned_calls", "call_timeline"}
COMMENTS = """
select table_name || '.' || column_name, comment from duckdb_columns() where not internal
union all
select table_name, comment from duckdb_tables() where not internal
union all
select view_name, comment from duckdb_views() where not internal
"""


@pytest.fixture
def db() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        create_tables(opened)
        describe(opened)
        yield opened


def comments(db: duckdb.DuckDBPyConnection) -> dict[str, str | None]:
    return dict(db.execute(COMMENTS).fetchall())


def test_every_table_view_and_column_says_what_it_is(db: duckdb.DuckDBPyConnection) -> None:
    said = comments(db)
    assert said.keys() >= VIEWS
    assert [name for name, comment in said.items() if not comment] == []


def test_nothing_is_said_of_what_is_not_there(db: duckdb.DuckDBPyConnection) -> None:
    there = comments(db)
    for table, meanings in tomllib.loads(Path(catalog.__file__).with_name("comments.toml").read_text()).items():
        for column in meanings:
            if table == "everywhere":
                assert any(name.endswith(f".{column}") for name in there), column
            else:
                assert (table if column == "is" else f"{table}.{column}") in there


def test_the_page_says_what_the_database_says(db: duckdb.DuckDBPyConnection) -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert GENERATED in written
    assert written.partition(GENERATED)[1:] == (GENERATED, page(db).removeprefix(GENERATED)), (
        f"run `python -m warehouse {PAGE}`"
    )


def test_the_examples_on_the_page_run(db: duckdb.DuckDBPyConnection) -> None:
    examples = PAGE.read_text(encoding="utf-8").partition("```sql\n")[2].partition("```")[0]
    statements = [each for each in examples.split(";") if each.strip()]
    assert len(statements) == 4
    for statement in statements:
        assert db.execute(statement).fetchall() == []


def test_the_page_can_be_written_anew(tmp_path: Path) -> None:
    copy = tmp_path / "warehouse.md"
    copy.write_text(f"# By hand\n\n{GENERATED}\nof another time\n")
    subprocess.run([sys.executable, "-m", "warehouse", copy], check=True)
    assert copy.read_text() == "# By hand\n\n" + GENERATED + PAGE.read_text().partition(GENERATED)[2]


def test_views_and_comments_are_in_the_replica(tmp_path: Path, db: duckdb.DuckDBPyConnection) -> None:
    writer = open_writer(tmp_path / "warehouse.duckdb")
    publish(writer, tmp_path / "warehouse.duckdb", tmp_path / "replica.duckdb")
    writer.close()
    reader = open_reader(tmp_path / "replica.duckdb")
    assert comments(reader) == comments(db)
    assert value(reader, "select count(*) from queue_intervals") == 0
    reader.close()


def test_a_warehouse_of_an_older_program_gets_the_views_when_it_is_opened_for_writing(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    writer = open_writer(path)
    writer.execute("drop view queue_depth")
    writer.execute("create or replace view service_levels as select 1 as of_an_older_program")
    writer.execute("comment on table queue_visits is 'what an older program said'")
    writer.close()
    writer = open_writer(path)
    assert value(writer, "select count(*) from queue_depth") == 0
    assert value(writer, "select count(offered) from service_levels") == 0
    assert "a visit" in value(writer, "select comment from duckdb_tables() where table_name = 'queue_visits'")
    writer.close()
