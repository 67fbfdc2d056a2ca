"""Tables as the catalog knows them."""

import duckdb

from warehouse.query import value


def names(db: duckdb.DuckDBPyConnection) -> set[str]:
    """All tables of the warehouse that the connection uses; what is temporary or attached beside it is not its."""
    found = db.execute("select table_name from duckdb_tables() where database_name = current_database()").fetchall()
    return {name for (name,) in found}


def create_like(db: duckdb.DuckDBPyConnection, table: str, name: str) -> None:
    """Make an empty table that is `table` in everything but its name: types, constraints, compression, comments."""
    made = "database_name = current_database() and table_name = ?"
    columns = value(db, f"select sql from duckdb_tables() where {made}", [table]).partition("(")[2]
    db.execute(f"create or replace table {name} ({columns}")
    ((said,),) = db.execute(f"select comment from duckdb_tables() where {made}", [table]).fetchall()
    db.execute(f"comment on table {name} is {_literal(said)}")
    comments = db.execute(
        f"select column_name, comment from duckdb_columns() where {made} and comment is not null", [table]
    ).fetchall()
    for column, said in comments:
        db.execute(f'comment on column {name}."{column}" is {_literal(said)}')


def _literal(text: str | None) -> str:
    return "null" if text is None else "'" + text.replace("'", "''") + "'"
