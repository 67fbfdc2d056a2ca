"""Texts of any length and kind: a report stays in proportion to its rows, and no spreadsheet finds a formula in it."""

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import openpyxl
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from reports import humanize
from reports.catalogue.registry import run
from reports.formats import EVERY, cells, encoded, render
from reports.formats.csv import safe
from reports.measures.definitions import ValueKind
from reports.tables.report import (
    Column,
    Report,
    Section,
)
from tests.support.requests import a_request

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
STARTS = tuple("=+-@＝＋－＠")  # noqa: RUF001 -- the full-width forms are meant
SEPARATORS = ";\t|,"
PARTS = [*SEPARATORS, *STARTS, *"\"' \r\n\0x1\\", "\u3000", "\xa0", "\v", "\u2028", "\x85", "''", '""', "=1+1"]
texts = st.lists(st.sampled_from(PARTS), max_size=12).map("".join)


Rows = list[tuple[str, str]]


@pytest.fixture
def of_texts(fill: Any, visit: Any) -> Callable[[Rows], Report]:
    """Make a report with one table, of two columns of texts."""
    report = run("sla", fill(visit()), a_request(NOON, from_="2026-03-02", to="2026-03-03"))
    columns = (Column("queue", "Queue", ValueKind.TEXT, 1), Column("other", "Other", ValueKind.TEXT, 1))

    def made(rows: Rows) -> Report:
        frame = pl.DataFrame(rows, schema={"queue": pl.String, "other": pl.String}, orient="row")
        return replace(report, sections=(Section("queues", "By queue", columns, frame),), main="queues", charts=())

    return made


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(rows=st.lists(st.tuples(texts, texts), min_size=1, max_size=3))
def test_no_separator_makes_a_formula_of_a_csv_cell(of_texts: Callable[[Rows], Report], rows: Rows) -> None:
    made = of_texts(rows)
    content = encoded(made, "csv")
    lines = content.decode().split("\r\n")
    assert len(lines) == len(rows) + 2, "a line is a row to whoever knows no quotes"
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", "".join(lines))
    ways = [{"quoting": csv.QUOTE_MINIMAL}, {"quoting": csv.QUOTE_NONE}, {"doublequote": False}]
    for separator in SEPARATORS:
        for way in ways:
            for row in csv.reader(io.StringIO(content.decode(), newline=""), delimiter=separator, **way):  # type: ignore[arg-type]
                assert not [cell for cell in row if cell.lstrip().startswith(STARTS)]
        for line in lines:
            assert not [cell for cell in line.split(separator) if cell.lstrip(' "').startswith(STARTS)]
    given_back = list(csv.reader(io.StringIO(render(made, "csv", raw=True), newline="")))[1:]
    assert [tuple(row[:2]) for row in given_back] == rows


@given(texts)
def test_only_an_apostrophe_is_added(text: str) -> None:
    assert safe(text).replace("'", "") == humanize.plain(text).replace("'", "")


@pytest.mark.parametrize(
    "text", ["support", "a;b", "sales, north", "x - y", "a=b", "it's", '"quoted", and', "", "a@b.example"]
)
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert safe(text) == text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(rows=st.lists(st.tuples(texts, texts), min_size=1, max_size=3))
def test_every_text_of_a_sheet_stays_a_text_when_it_is_edited(of_texts: Callable[[Rows], Report], rows: Rows) -> None:
    sheet = openpyxl.load_workbook(io.BytesIO(encoded(of_texts(rows), "xlsx")))["By queue"]
    for row in sheet.iter_rows(min_row=2):
        for cell in row:
            assert cell.data_type != "f"
            assert cell.quotePrefix or not str(cell.value or "").lstrip(' "').startswith(STARTS)


@given(st.text(max_size=600), st.text(max_size=600))
def test_a_name_is_cut_to_what_still_tells_it_from_every_other(one: str, other: str) -> None:
    assert len(humanize.cut(one)) <= humanize.MAX_NAME
    assert (humanize.cut(one) == one) == (len(one) <= humanize.MAX_NAME)
    assert (humanize.cut(one) == humanize.cut(other)) == (one == other)
    beginning = "x" * 300
    assert (humanize.cut(beginning + one) == humanize.cut(beginning + other)) == (one == other)
    assert humanize.cut(humanize.cut(one)) == humanize.cut(one)


def test_a_cut_name_says_how_long_it_was() -> None:
    assert re.fullmatch(r"x+… \[1,048,576 characters, [0-9a-f]{10}\]", humanize.cut("x" * (1 << 20)))


@pytest.mark.parametrize("form", [form for form in EVERY if form != "parquet"])
@pytest.mark.parametrize("name", ["sla", "calls", "completeness"])
def test_a_report_of_long_names_is_no_larger_than_its_rows(fill: Any, visit: Any, form: str, name: str) -> None:
    def size(length: int) -> int:
        fill().db.execute("delete from queue_visits")
        queues = [f"{n}{character * length}" for n, character in enumerate("x=\u202e\U0001f600")]
        at = [NOON + timedelta(minutes=n) for n in range(len(queues))]
        visits = [visit(queue=queue, at=when) for queue, when in zip(queues, at, strict=True)]
        request = a_request(NOON, from_="2026-03-02T12:00", to="2026-03-02T13:00", queues=tuple(queues))
        return len(encoded(run(name, fill(*visits), request), form))

    assert size(200_000) < 1.1 * size(1_000) + 2_000


def test_what_is_for_programs_is_exact_or_says_that_it_was_cut(of_texts: Callable[[Rows], Report]) -> None:
    long = "=1;" + "x" * 5_000
    made = of_texts([(long, "y")])
    ((raw, *_),) = list(csv.reader(io.StringIO(render(made, "csv", raw=True), newline="")))[1:]
    assert raw == long
    assert pl.read_parquet(io.BytesIO(encoded(made, "parquet")))["queue"].to_list() == [long]
    (section,) = json.loads(render(made, "json"))["sections"]
    assert section["rows"][0]["queue"] == humanize.cut(long) == cells.cut(long, made.request.zone)


WRITTEN = [
    "می\u200cروم",  # Persian: a letter that does not join the next
    "क्\u200dष",  # Hindi: a mark, joined
    "👩🏽\u200d🚀",
    "🏳\ufe0f\u200d🌈",
    "🙂\u200d↔\ufe0f",
    "👨\u200d👩\u200d👧 sales",
    "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
]
NOT_WRITTEN = [
    ("\u200cab", "\\u200cab"),
    ("ab\u200d", "ab\\u200d"),
    ("a\u200c\u200cb", "a\\u200c\\u200cb"),
    ("a\u200d-", "a\\u200d-"),
    ("4\u200d2", "4\\u200d2"),
    ("😀\u200dx", "😀\\u200dx"),
    ("a\u200bb", "a\\u200bb"),
    ("a\u2060b", "a\\u2060b"),
    ("می\u200fروم", "می\\u200fروم"),
    ("😀\U000e0067\U000e0062\U000e007f", "😀\\U000e0067\\U000e0062\\U000e007f"),
    ("🏴\U000e0067\U000e0062", "🏴\\U000e0067\\U000e0062"),
]


@pytest.mark.parametrize("form", ["table", "csv", "json", "html", "xlsx"])
def test_joiners_that_people_write_are_text_in_every_format(of_texts: Callable[[Rows], Report], form: str) -> None:
    content = encoded(of_texts([(name, "x") for name in WRITTEN]), form)
    if form == "xlsx":
        sheets = openpyxl.load_workbook(io.BytesIO(content)).worksheets
        found = {str(cell.value) for sheet in sheets for row in sheet.iter_rows() for cell in row}
        assert set(WRITTEN) <= found
    elif form == "json":
        assert [row["queue"] for row in json.loads(content)["sections"][0]["rows"]] == WRITTEN
    else:
        assert [name for name in WRITTEN if name not in content.decode()] == []


def test_columns_stay_in_line_beside_joined_texts(of_texts: Callable[[Rows], Report]) -> None:
    lines = render(of_texts([(name, "|") for name in [*WRITTEN, "名前", "plain"]]), "table").splitlines()
    assert len({cell_len(line.partition("|")[0]) for line in lines if "|" in line}) == 1


@pytest.mark.parametrize(("text", "shown"), NOT_WRITTEN)
def test_a_joiner_that_joins_nothing_and_all_else_that_is_invisible_is_spelt_out(text: str, shown: str) -> None:
    assert humanize.plain(text) == shown
