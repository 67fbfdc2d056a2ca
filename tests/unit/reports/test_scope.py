"""What a report leaves out stands in its title, its totals, its tiles and its charts, in every format."""

import io
import json
from datetime import timedelta
from typing import Any

import openpyxl
import pytest

from reports import formats
from reports.catalogue.registry import REPORTS, run
from reports.formats import charts, encoded, render
from reports.request import scope
from reports.source import Source
from reports.tables.report import Report
from tests.support.report_facts import NOON
from tests.support.requests import a_request

NAMES = ("support", "sales", "billing", "night", "weekend")


def about(source: Source, name: str, **options: Any) -> Report:
    return run(name, source, a_request(NOON + timedelta(days=1), **options))


@pytest.fixture
def source(fill: Any, visit: Any) -> Source:
    filled: Source = fill(visit(), visit("abandoned", 30), visit(queue="sales"))
    return filled


def test_a_title_names_the_queues_and_the_hours() -> None:
    def titled(**options: Any) -> str:
        return scope.titled("Waits", a_request(NOON, **options))

    assert titled() == "Waits"
    assert titled(queues=("support",)) == "Waits, queue support"
    assert (
        titled(queues=("support", "sales", "support"), hours="open")
        == "Waits, queues support, sales, in business hours"
    )
    assert titled(queues=NAMES) == "Waits, queues support, sales, billing and 2 more"
    assert titled(hours="closed") == "Waits, outside of business hours"


def test_a_name_in_a_title_is_one_short_line() -> None:
    said = scope.titled("Waits", a_request(NOON, queues=("a\r\nBcc: x\N{RIGHT-TO-LEFT OVERRIDE}", "y" * 1_000_000)))
    assert said.isprintable()
    assert r"a\x0d\x0aBcc: x\u202e" in said
    assert len(said) < 200


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_is_titled_by_its_queues(source: Source, name: str) -> None:
    assert about(source, name, queues=("support",)).title == f"{about(source, name).title}, queue support"


@pytest.mark.parametrize("queue", ["All queues", "All times", "", "Total", "all"])
def test_a_queue_may_be_named_as_the_total_is(fill: Any, visit: Any, queue: str) -> None:
    filled = fill(visit(queue=queue), visit(queue=queue), visit())
    for name in REPORTS:
        render(about(filled, name), "table")
    rows = [row for row in about(filled, "compare").section("compare").rows() if row["name"] == "offered"]
    whole, *others = [(row["queue"], row["now_value"]) for row in rows]
    assert (whole, set(others)) == (("All queues", 3), {(queue, 2), ("support", 1)})


@pytest.mark.parametrize("name", ["sla", "queues", "abandonment", "waits", "depth", "compare"])
def test_nothing_of_some_queues_says_that_it_is_of_all(source: Source, name: str) -> None:
    report = about(source, name, queues=("support",), interval=None if name == "compare" else "1h")
    for form in formats.EVERY:
        content = encoded(report, form)
        if form not in {"xlsx", "parquet"}:
            assert "all queues" not in content.decode().lower(), form
    assert "all queues" in render(about(source, name), "json").lower()


def test_totals_tiles_and_notes_name_the_queue(source: Source) -> None:
    report = about(source, "sla", queues=("support",), interval="1h")
    said = json.loads(render(report, "json"))
    sections = {each["name"]: each for each in said["sections"]}
    assert sections["queues"]["totals"]["queue"] == "Queue support"
    assert sections["intervals"]["title"] == "Queue support by hour"
    assert "Queue support: 1 / (2 - 0 - 0) = 50.0 %." in report.notes
    page = render(report, "html")
    assert "<title>Service levels, queue support · " in page
    assert "<h1>Service levels, queue support</h1>" in page
    assert '<p class="about">visits to the queue support</p>' in page
    assert {each.title for each in charts.drawn(report)} == {
        "Service level by hour, queue support",
        "Offered by hour, queue support",
        "How long people waited, queue support",
    }
    assert render(report, "table").splitlines()[0] == "Service levels, queue support"
    book = openpyxl.load_workbook(io.BytesIO(encoded(report, "xlsx")))
    assert book["About"]["A1"].value == "Service levels, queue support"
    assert book["By queue"].cell(row=3, column=1).value == "Queue support"


def test_what_is_of_all_queues_says_so(source: Source) -> None:
    assert '<p class="about">visits to all queues</p>' in render(about(source, "sla"), "html")


def test_the_name_of_a_queue_is_no_markup_in_a_title_or_tile(fill: Any, visit: Any) -> None:
    name = "<img src=x onerror=alert(1)>"
    page = render(about(fill(visit(queue=name)), "sla", queues=(name,)), "html")
    assert "<img" not in page
    assert "visits to the queue &lt;img" in page
