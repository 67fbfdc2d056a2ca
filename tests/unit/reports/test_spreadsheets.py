"""What programs find in the files: values of their types, nothing that runs, and the same bytes for the same report."""

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import openpyxl
import polars as pl
import pyarrow.parquet as pq
import pytest

from reports.catalogue.registry import run
from reports.errors import RequestError
from reports.formats import encoded, parquet
from reports.tables.report import Report
from tests.support.hostile_names import HOSTILE
from tests.support.requests import a_request

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def report(fill: Any, visit: Any) -> Report:
    visits = [visit(queue=name, wait_secs=30.5, at=NOON + timedelta(minutes=n)) for n, name in enumerate(HOSTILE)]
    request = a_request(NOON, from_="2026-03-02", to="2026-03-03", tz="Asia/Kolkata", interval="1h")
    return run("sla", fill(*visits), request)


def _book(report: Report) -> Any:
    return openpyxl.load_workbook(io.BytesIO(encoded(report, "xlsx")))


def test_a_sheet_holds_each_section_after_what_it_rests_on(report: Report) -> None:
    book = _book(report)
    assert len(book.sheetnames) == len(report.sections) + 1
    said = [cell.value for (cell,) in book["About"].iter_rows() if cell.value]
    assert said == [report.title, *report.notes]


def test_cells_have_the_types_of_what_they_hold(report: Report) -> None:
    sheet = _book(report)["By queue and hour"]
    titles = [cell.value for cell in sheet[1]]
    row = next(row for row in sheet.iter_rows(min_row=2) if row[titles.index("Offered")].value)
    of = dict(zip(titles, row, strict=True))
    assert of["Hour"].value == datetime(2026, 3, 2, 17, 0)  # noqa: DTZ001 -- the local time, as spreadsheets know it
    assert (of["Hour"].is_date, of["Hour"].number_format) == (True, "yyyy-mm-dd hh:mm:ss")
    assert (of["Offered"].value, of["Offered"].data_type) == (1, "n")
    assert (of["Service level"].value, of["Service level"].number_format) == (0, "0.0%")
    assert of["ASA"].value == timedelta(seconds=30.5)
    assert of["Mean wait, abandoned"].value is None


def test_no_text_is_a_formula_or_a_link_or_hides_anything(report: Report) -> None:
    book = _book(report)
    for sheet in book:
        for row in sheet.iter_rows():
            for cell in row:
                assert cell.data_type != "f"
                assert cell.hyperlink is None
    cells = {row[0].value: row[0] for row in book["By queue"].iter_rows(min_row=2)}
    assert {"=1+1", "@SUM(A1)", "-2+3", r"\u202egnp.exe"} <= set(cells)
    assert cells["=1+1"].quotePrefix
    assert not cells["[bold red]markup[/]"].quotePrefix


@pytest.mark.parametrize("form", ["xlsx", "parquet", "html", "json", "csv", "table"])
def test_the_same_report_is_the_same_bytes(report: Report, form: str) -> None:
    assert encoded(report, form) == encoded(report, form)


def test_parquet_is_typed_and_says_what_it_rests_on(report: Report) -> None:
    content = encoded(report, "parquet")
    frame = pl.read_parquet(io.BytesIO(content))
    assert frame.schema["interval_start"] == pl.Datetime("us", "Asia/Kolkata")
    names = ("offered", "service_level", "longest_wait_ms", "mean_wait_answered_ms")
    assert [str(frame.schema[name]) for name in names] == ["Int64", "Float64", "Int64", "Float64"]
    assert set(frame["queue"]) == set(HOSTILE)
    assert frame["offered"].sum() == len(HOSTILE)
    schema = pq.read_schema(io.BytesIO(content))
    about = json.loads(schema.metadata[b"holdtime"])
    assert (about["report"], about["section"], about["notes"]) == ("sla", "queue_intervals", list(report.notes))
    assert schema.field("service_level").metadata[b"formula"].startswith(b"answered_within / ")


def test_any_table_can_be_had_as_parquet(report: Report) -> None:
    frame = pl.read_parquet(io.BytesIO(parquet.render(report, section="variants")))
    assert frame.columns == ["variant", "service_level", "formula", "worked"]
    with pytest.raises(RequestError, match="expected one of queues, "):
        report.led_by("nothing")
