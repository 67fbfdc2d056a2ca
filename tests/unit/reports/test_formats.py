"""Every format gives back what went in, and what came from outside does no harm in any of them."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import openpyxl
import pytest

from reports import humanize
from reports.catalogue import conferences, sla
from reports.catalogue.registry import REPORTS, run
from reports.errors import RequestError
from reports.formats import FORMATS, cells, encoded, pictures, render
from reports.formats import csv as csv_format
from reports.formats import table as table_format
from reports.formats.cells import Grade
from reports.measures.definitions import digest
from reports.measures.measures import AGGREGATES
from reports.request.effective_policy import QueuePolicy
from reports.request.request import SettingOrigin
from reports.tables.report import Report
from tests.support.hostile_names import HOSTILE
from tests.support.report_facts import insert
from tests.support.requests import a_request

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
_INVISIBLE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


@pytest.fixture
def hostile(fill: Any, visit: Any) -> Report:
    visits = [visit(queue=name, at=NOON + timedelta(minutes=n)) for n, name in enumerate(HOSTILE)]
    request = a_request(NOON, from_="2026-03-02T12:00", to="2026-03-02T13:00", interval="30m", queues=tuple(HOSTILE))
    return run("sla", fill(*visits), request)


@pytest.fixture
def plain(fill: Any, visit: Any) -> Report:
    source = fill(visit(wait_secs=5), visit("abandoned", 30, queue="sales"), visit(wait_secs=185, queue="sales"))
    request = a_request(NOON, from_="2026-03-02T17:00", to="2026-03-02T18:30", interval="30m", tz="Asia/Kolkata")
    return run("sla", source, request)


class _Page(HTMLParser):
    """What a browser would make of a page: its elements, its attributes and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.cells: list[str] = []
        self._in_cell = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag in {"th", "td"}:
            self.cells.append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in {"th", "td"}:
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.cells[-1] += data


def test_csv_can_be_read_back(plain: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(render(plain, "csv"), newline="")))
    assert [(row["queue"], row["offered"]) for row in rows if row["offered"] != "0"] == [
        ("sales", "2"),
        ("support", "1"),
    ]
    busy = next(row for row in rows if row["queue"] == "sales" and row["offered"] == "2")
    assert float(busy["service_level"]) == 0
    assert (busy["longest_wait_ms"], busy["mean_wait_answered_ms"]) == ("185000", "185000.0")
    empty = next(row for row in rows if row["offered"] == "0")
    assert (empty["service_level"], empty["wait_p90_ms"]) == ("", "")
    assert datetime.fromisoformat(busy["interval_start"]).utcoffset() == timedelta(hours=5, minutes=30)


def test_any_table_can_be_had_as_csv(plain: Report) -> None:
    text = csv_format.render(plain, section="wait_distribution")
    assert text.splitlines()[0].startswith("wait,visits,answered")
    with pytest.raises(KeyError):
        csv_format.render(plain, section="nothing")


def test_no_csv_cell_is_a_formula_or_hides_anything(hostile: Report) -> None:
    text = render(hostile, "csv")
    names = {row[0] for row in list(csv.reader(io.StringIO(text, newline="")))[1:]}
    assert len(names) == len(HOSTILE)
    assert not [name for name in names if name.lstrip(" ")[:1] in tuple("=+-@\t\r\n＝")]  # noqa: RUF001 -- as above
    assert not _INVISIBLE.search(text.replace("\r\n", "\n"))
    assert "'=1+1" in names


def test_raw_csv_gives_back_what_went_in(hostile: Report) -> None:
    names = {row[0] for row in list(csv.reader(io.StringIO(render(hostile, "csv", raw=True), newline="")))[1:]}
    assert names == set(HOSTILE)


def test_json_gives_back_what_went_in_and_names_its_definition(plain: Report, hostile: Report) -> None:
    document = json.loads(render(plain, "json"))
    assert (document["format"], document["report"], document["period"]["tz"]) == (1, "sla", "Asia/Kolkata")
    assert document["period"]["from"] == "2026-03-02T17:00:00+05:30"
    assert document["definition"]["service_level_variant"] == "short_abandons_excluded"
    queues = next(section for section in document["sections"] if section["name"] == "queues")
    assert set(queues["rows"][0]) == {column["name"] for column in queues["columns"]}
    level = next(column for column in queues["columns"] if column["name"] == "service_level")
    assert level["formula"] == "answered_within / (offered - waiting - short_abandoned)"
    text = render(hostile, "json")
    assert text.isascii()
    rows = next(section for section in json.loads(text)["sections"] if section["name"] == "queues")["rows"]
    assert {row["queue"] for row in rows} == {humanize.cut(name) for name in HOSTILE}


def test_a_page_needs_nothing_else_and_shows_its_charts(plain: Report) -> None:
    text = render(plain, "html")
    page = _Page(text)
    assert page.tags.count("svg") == 6
    assert page.tags.count("figure") == 3
    assert not {"script", "link", "img", "iframe", "object", "foreignobject"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in {"style", "href", "src"}]
    assert not re.search(r"https?://(?!www\.w3\.org/)", text)
    assert "default-src 'none'; style-src 'sha256-" in text
    pictures = [
        value
        for name, value in page.attributes
        if name == "aria-label" and value and value.startswith("Service level by")
    ]
    assert pictures == ["Service level by half hour. 0 of 1 reached the target of 80 %; no dot where nobody came."] * 2


def test_a_heatmap_says_nothing_of_hours_that_its_period_does_not_have(fill: Any, visit: Any) -> None:
    report = run("heatmap", fill(visit()), a_request(NOON, from_="2026-03-02", to="2026-03-03"))
    (row,) = [row for row in report.section("offered").rows() if row["hour"] == "13:00"]
    assert (row["offered_monday"], row["offered_tuesday"]) == (0, None)


def test_figures_in_words_stand_at_the_right_and_what_cannot_be_drawn_is_not(fill: Any, visit: Any) -> None:
    source = fill(visit())
    assert '<td class="number">1</td>' in render(run("compare", source, a_request(NOON)), "html")
    assert "<figure>" not in render(run("staffing", source, a_request(NOON)), "html")


def test_a_hostile_name_adds_nothing_to_a_page_but_text(hostile: Report, fill: Any, visit: Any) -> None:
    page = _Page(render(hostile, "html"))
    harmless = [f"queue {n}" for n in range(len(HOSTILE))]
    visits = [visit(queue=name, at=NOON + timedelta(minutes=n)) for n, name in enumerate(harmless)]
    fill().db.execute("delete from queue_visits")
    request = a_request(NOON, from_="2026-03-02T12:00", to="2026-03-02T13:00", interval="30m", queues=tuple(harmless))
    twin = _Page(render(run("sla", fill(*visits), request), "html"))
    assert page.tags == twin.tags
    assert [name for name, _ in page.attributes] == [name for name, _ in twin.attributes]
    assert "<script>alert(1)</script>" in page.cells
    assert not _INVISIBLE.search(render(hostile, "html"))


def test_a_table_sends_nothing_to_the_terminal_but_text(hostile: Report) -> None:
    text = render(hostile, "table", width=200)
    assert not _INVISIBLE.search(text)
    assert "[bold red]markup[/]" in text
    assert r"\u202egnp.exe" in text


@pytest.mark.parametrize("name", ["sla", "conferences"])
@pytest.mark.parametrize("form", FORMATS)
def test_every_format_says_what_a_report_rests_on(fill: Any, visit: Any, name: str, form: str) -> None:
    source = fill(visit(), conferences=({"conference_id": "room", "created_at": NOON, "status": "in_progress"},))
    source.db.execute("insert into log_positions values (0, 12345, now()), (1, 678, now())")
    source.db.execute("insert into fact_definitions values ('0123abcd'), ('4567ef89')")
    source.db.execute("insert into warehouse values (1, 86400000, now(), null)")
    report = run(name, source, a_request(NOON, tz="Asia/Kolkata", origins={"tz": SettingOrigin.FILE}))
    text = " ".join(render(report, form).split())
    facts = ('"0123abcd", "4567ef89"',) if form == "json" else ("facts 0123abcd and 4567ef89",)
    positions = '{ "partition": 0, "offset": 12345 }, { "partition": 1, "offset": 678 }'
    for words in (*facts, report.measure_definitions, positions if form == "json" else "0:12345,1:678"):
        assert words in text
    zone = {"json": '"value": "Asia/Kolkata", "origin": "holdtime.toml"', "csv": "tz=Asia/Kolkata (holdtime.toml)"}
    assert zone.get(form, "tz Asia/Kolkata (holdtime.toml)") in text
    waits = {"json": '"value": 86400000, "origin": "warehouse"', "csv": "longest_wait_ms=86400000 (warehouse)"}
    assert waits.get(form, "longest_wait_ms 86400000 (warehouse)") in text


def test_the_digest_of_the_measures_changes_with_them() -> None:
    assert digest(AGGREGATES) == digest(AGGREGATES) != digest(AGGREGATES[1:])
    assert sla.MEASURE_DEFINITIONS != conferences.MEASURE_DEFINITIONS


@pytest.mark.parametrize("width", [40, 60, 80, 120, 250])
def test_a_table_fits_its_width_and_keeps_what_matters(plain: Report, width: int) -> None:
    text = render(plain, "table", width=width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "Offered" in text
    assert ("Service level" in text) == ("Queue" in text)


def test_colours_say_how_a_level_stands_to_its_target(plain: Report) -> None:
    assert "\x1b[" not in render(plain, "table")
    colored = render(plain, "table", color=True)
    assert re.search(r"\x1b\[31m +0\.0 %", colored)
    assert re.search(r"\x1b\[32m +100\.0 %", colored)
    assert [cells.grade(level, 0.8) for level in (0.8, 0.79, 0.74)] == [Grade.MET, Grade.NEARLY, Grade.MISSED]


@pytest.mark.parametrize("form", FORMATS)
def test_no_visits_are_friendly_in_every_format(fill: Any, form: str) -> None:
    assert render(run("sla", fill(), a_request(NOON, interval="1h")), form)
    assert render(run("sla", fill(), a_request(NOON, from_="2026-03-02", to="2026-03-03")), form)


def test_a_table_fits_its_own_width_when_nothing_else_is_known(plain: Report) -> None:
    assert render(plain, "table") == table_format.render(plain, width=100)


def test_an_unknown_format_is_answered_with_those_there_are(plain: Report) -> None:
    with pytest.raises(RequestError, match="'pdf' is not known: expected one of table, csv, json, html"):
        render(plain, "pdf")


@pytest.mark.parametrize(
    ("ms", "text"),
    [(None, "–"), (0, "0 s"), (400, "0.4 s"), (7_836, "7.8 s"), (41_000, "41 s"), (59_700, "1:00"), (185_000, "3:05")],  # noqa: RUF001 -- the dash
)
def test_durations_are_read_at_a_glance(ms: float | None, text: str) -> None:
    assert humanize.duration(ms) == text
    assert humanize.duration(3_723_000) == "1:02:03"


def test_a_repeated_hour_is_labelled_with_its_offset() -> None:
    zone = a_request(NOON, tz="America/New_York").zone
    passes = [humanize.moment(datetime(2026, 11, 1, hour, 30, tzinfo=UTC), zone) for hour in (5, 6, 7)]
    assert passes == ["2026-11-01 01:30 -04:00", "2026-11-01 01:30 -05:00", "2026-11-01 02:30"]


def test_ages_are_told_in_one_unit() -> None:
    assert [humanize.age(secs * 1000) for secs in (-1, 4, 119, 121, 7201, 200_000)] == [
        "0 s",
        "4 s",
        "119 s",
        "2 min",
        "2 h",
        "2 d",
    ]


def test_a_picture_on_its_own_has_its_colours_and_its_words(plain: Report) -> None:
    drawn = {name: content.decode() for name, content in pictures(plain, "svg").items()}
    assert list(drawn) == ["service-level", "offered", "waits"]
    for svg in drawn.values():
        assert "var(" not in svg
        assert "<title>" in svg
        assert "<desc>" in svg
        assert not re.search(r"https?://(?!www\.w3\.org/)", svg)
    with pytest.raises(RequestError, match="'gif' is not known"):
        pictures(plain, "gif")


def test_a_level_is_graded_by_the_target_of_its_own_row(fill: Any, visit: Any) -> None:
    policies = (QueuePolicy(queue="support", target=0.4),)
    source = fill(visit(), visit(wait_secs=60), visit(queue="sales"), visit(queue="sales", wait_secs=60))
    colored = render(run("sla", source, a_request(NOON, policies=policies)), "table", color=True, width=160)
    support, sales = (next(line for line in colored.splitlines() if name in line) for name in ("support", "sales"))
    assert re.search(r"\x1b\[32m +50\.0 %", support)
    assert re.search(r"\x1b\[31m +50\.0 %", sales)


def test_a_long_list_is_cut_for_a_terminal_and_says_where_the_rest_is(fill: Any, visit: Any) -> None:
    visits = [
        {**visit("abandoned", at=NOON - timedelta(minutes=n)), "from_number": f"+1202555{n:04}"} for n in range(60)
    ]
    report = run("abandonment", fill(*visits), a_request(NOON))
    text = render(report, "table")
    assert "+12025550049" in text
    assert "+12025550050" not in text
    assert "10 more: take them as CSV with --section callers." in text
    assert len(list(csv.reader(io.StringIO(render(report.led_by("callers"), "csv"))))) == 61


@pytest.mark.parametrize(
    ("name", "section"),
    [("abandonment", "callers"), ("calls", "hangup_causes"), ("participants", "conferences"), ("end-reasons", "calls")],
)
def test_what_callers_and_carriers_say_is_harmless_in_every_report(
    fill: Any, visit: Any, name: str, section: str
) -> None:
    texts = [text for text in HOSTILE if text]
    source = fill(
        *(
            {**visit("abandoned"), "from_number": f"{text} <+1202555{n:04}>", "to_number": text}
            for n, text in enumerate(texts)
        ),
        conferences=tuple({"conference_id": f"{n}", "name": text, "created_at": NOON} for n, text in enumerate(texts)),
    )
    insert(source.db, "calls", tuple({"hangup_cause": t, "initiated_at": NOON, "status": "ended"} for t in texts))
    insert(
        source.db, "participant_stays", tuple({"conference_id": f"{n}", "joined_at": NOON} for n in range(len(texts)))
    )
    report = run(name, source, a_request(NOON + timedelta(days=1))).led_by(section)
    page = _Page(render(report, "html"))
    assert not {"script", "img", "b"} & set(page.tags)
    assert "<script>alert(1)</script>" in page.cells
    for form in ("table", "html", "csv"):
        assert not _INVISIBLE.search(render(report, form).replace("\r\n", "\n")), form
    cells_ = [cell for row in csv.reader(io.StringIO(render(report, "csv"), newline="")) for cell in row]
    assert not [cell for cell in cells_ if cell.lstrip(" ")[:1] in tuple("=+-@\t\r\n＝")]  # noqa: RUF001 -- as above
    assert "'=1+1" in cells_
    book = openpyxl.load_workbook(io.BytesIO(encoded(report, "xlsx")))
    found = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert not [cell for cell in found if cell.data_type == "f" or cell.hyperlink]


@pytest.mark.parametrize("name", REPORTS)
def test_one_visit_is_enough_for_every_report(fill: Any, visit: Any, name: str) -> None:
    report = run(name, fill(visit()), a_request(NOON + timedelta(days=1), tz="Asia/Kolkata"))
    for form in ("table", "html", "parquet"):
        assert encoded(report, form)
    if name in {"sla", "queues", "abandonment", "waits"}:
        total = report.section("queues").total_row()
        assert total is not None
        assert total["offered"] == 1
