"""What the warehouse's tables, views and columns mean: the views, the COMMENTs, and the page made from them."""

import tomllib
from collections.abc import Iterator
from importlib.resources import files

import duckdb

from warehouse.scripts import VIEWS

GENERATED = "<!-- From here on made by `python -m warehouse docs/warehouse.md`: edit warehouse/comments.toml -->"

_MEANINGS = files(__package__).joinpath("comments.toml").read_text(encoding="utf-8")

_ANYWHERE = "everywhere"
_ITSELF = "is"
_SHORT = {"TIMESTAMP WITH TIME ZONE": "timestamptz"}

_COLUMNS = """
select table_name, column_name, data_type, comment
from duckdb_columns()
where not internal
and database_name = current_database()
and schema_name = 'main'
order by table_name, column_index
"""

_RELATIONS = """
select table_name as name, false as is_view, comment
from duckdb_tables()
where not internal
and database_name = current_database()
and schema_name = 'main'
union all
select view_name, true, comment
from duckdb_views()
where not internal
and database_name = current_database()
and schema_name = 'main'
order by is_view, name
"""


def describe(db: duckdb.DuckDBPyConnection) -> None:
    """Make all views anew and put all COMMENTs, in one transaction.

    Called on every opening for writing, so that a warehouse has the views of the program that writes it.
    """
    db.begin()
    for view in VIEWS.values():
        db.execute(view)
    for statement in comments(db):
        db.execute(statement)
    db.commit()


def judge(db: duckdb.DuckDBPyConnection) -> None:
    """Make the view `completeness` over the tables of the current schema."""
    db.execute(VIEWS["completeness"])


def comments(db: duckdb.DuckDBPyConnection) -> Iterator[str]:
    meanings = tomllib.loads(_MEANINGS)
    for name, is_view, _ in db.execute(_RELATIONS).fetchall():
        if text := meanings.get(name, {}).get(_ITSELF):
            yield f"comment on {'view' if is_view else 'table'} {identifier(name)} is {_literal(text)}"
    for table, column, _, _ in db.execute(_COLUMNS).fetchall():
        if text := meanings.get(table, {}).get(column) or meanings[_ANYWHERE].get(column):
            yield f"comment on column {identifier(table)}.{identifier(column)} is {_literal(text)}"


def page(db: duckdb.DuckDBPyConnection) -> str:
    """The generated part of docs/warehouse.md: every table and view with every column, as the database says."""
    columns: dict[str, list[str]] = {}
    for table, column, kind, comment in db.execute(_COLUMNS).fetchall():
        columns.setdefault(table, []).append(f"| `{column}` | {_SHORT.get(kind, kind.lower())} | {_cell(comment)} |")
    lines = [GENERATED]
    for name, is_view, comment in db.execute(_RELATIONS).fetchall():
        lines += ["", f"## `{name}`{', a view' if is_view else ''}", "", _sentence(comment), ""]
        lines += ["| column | type | meaning |", "|---|---|---|", *columns[name]]
    return "\n".join(lines) + "\n"


def _sentence(comment: str | None) -> str:
    return f"{comment[0].upper()}{comment[1:]}." if comment else ""


def _cell(comment: str | None) -> str:
    return (comment or "").replace("|", "\\|")


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
