"""The warehouse's SQL, as texts: its tables and its views, a view a file."""

from importlib.resources import files


def _text(folder: str, name: str) -> str:
    return files(__package__).joinpath(folder, f"{name}.sql").read_text(encoding="utf-8")


SCHEMA = "\n".join(_text("schema", name) for name in ("facts", "events"))
"""All tables, of an empty warehouse."""

CALLERS = _text("views", "callers")
"""A part of a query: `callers`, the rows of `spellings` with the caller that each `spelling` means."""

_NAMES = ("queue_intervals", "service_levels", "queue_depth", "abandoned_calls", "call_timeline", "completeness")

VIEWS = {name: _text("views", name).replace("-- include callers.sql\n", CALLERS) for name in _NAMES}
"""The views for analysts by their names."""
