"""Paths as people write them: `~` is the home folder, and a database is a file on this machine."""

import os
import pwd
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.paths import database, expanded

ME = pwd.getpwuid(os.geteuid())


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("SOMEWHERE", "/elsewhere")


@pytest.mark.parametrize("read", [expanded, database])
@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("~/x.duckdb", "/home/somebody/x.duckdb"),
        (f"~{ME.pw_name}/x.duckdb", f"{ME.pw_dir}/x.duckdb"),
        ("data/x.duckdb", "data/x.duckdb"),
        ("data/~/x", "data/~/x"),
        ("x~", "x~"),
        ("$SOMEWHERE/x", "$SOMEWHERE/x"),
        ("%d/x y.duckdb", "%d/x y.duckdb"),
        ("é/名.duckdb", "é/名.duckdb"),
    ],
)
def test_a_tilde_at_the_beginning_is_a_home_folder_and_nothing_else_is_special(
    read: object, text: str, path: str
) -> None:
    assert callable(read)
    assert read(text) == Path(path)
    assert read(Path(text)) == Path(path)


def test_without_a_home_in_the_environment_the_system_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    assert expanded("~/x") == Path(ME.pw_dir, "x")


@pytest.mark.parametrize("home", ["", "relative", "."])
def test_a_home_that_is_no_place_is_a_fault(monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    monkeypatch.setenv("HOME", home)
    with pytest.raises(ValueError, match="HOME is no absolute path"):
        expanded("~/x")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "found an empty text"),
        ("~nosuchuser/x", "no home folder of the user 'nosuchuser'"),
        ("x\0y", "without control characters"),
        ("x\r", "without control characters"),
        ("x\ny", "without control characters"),
        ("x\udcff", "in UTF-8"),
        (3, "another kind of value"),
        (None, "another kind of value"),
    ],
)
def test_a_text_that_names_no_file_is_a_fault(text: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        expanded(text)


@pytest.mark.parametrize(
    "text",
    [
        *(":memory:", ":memory:x", "md:x", "MD:x", "postgres:dbname=x", "s3://bucket/x", "http://127.0.0.1/x"),
        *("file:x?mode=memory", "sqlite:x", "duckdb:x", "data/", ".", "..", "/", "~", "x/.."),
    ],
)
def test_what_databases_read_as_something_else_than_a_file_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected the path of a file"):
        database(text)


@pytest.mark.parametrize(("text", "end"), [("./~/x", "/~/x"), ("./md:x", "/md:x"), ("./:memory:", "/:memory:")])
def test_a_file_of_such_a_name_can_be_had_all_the_same(
    monkeypatch: pytest.MonkeyPatch, text: str, end: str, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert database(text) == Path(f"{tmp_path}{end}")


@given(st.text(max_size=40))
def test_any_text_is_a_path_or_a_fault(text: str) -> None:
    path = None
    with suppress(ValueError):
        path = database(text)
    if path is not None:
        assert "\0" not in str(path)
        assert path.is_absolute() or path.parts[0][0] not in "~:"
