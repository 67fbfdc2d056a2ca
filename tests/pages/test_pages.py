"""Pages as a browser shows them: at a desk and on a phone, in light and in dark, to people and to screen readers."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize

from reports.catalogue.registry import REPORTS, run
from reports.formats import render
from reports.source import Source
from tests.support.browser import started
from tests.support.busy_center import AFTERWARDS, a_busy_center
from tests.support.hostile_names import HOSTILE
from tests.support.requests import a_request

DESK: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
Shown = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started() as one:
        yield one


@pytest.fixture(scope="module")
def source() -> Iterator[Source]:
    with a_busy_center() as one:
        yield one


@pytest.fixture(scope="module")
def files(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A function that returns a report's page as a file, made once."""
    folder = tmp_path_factory.mktemp("pages")

    def made(name: str, queues: tuple[str, ...] = ()) -> Path:
        file = folder / f"{name}-{len(queues)}.html"
        if not file.exists():
            agents = 4 if name == "staffing" else None
            report = run(name, source, a_request(AFTERWARDS, tz="America/New_York", queues=queues, agents=agents))
            file.write_text(render(report, "html"), encoding="utf-8")
        return file

    return made


@pytest.fixture
def shown(browser: Browser, files: Callable[..., Path]) -> Iterator[Shown]:
    """A function that opens a report's page, and fails for whatever the browser has to say about it."""
    complaints: list[str] = []
    contexts = []

    def opened(
        name: str, screen: ViewportSize = DESK, scheme: Any = "light", *, trusted: bool = True, **options: Any
    ) -> Page:
        # The page allows no script; what inspects it is one, and is let in for that alone.
        context = browser.new_context(viewport=screen, color_scheme=scheme, bypass_csp=not trusted)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith("file:") else complaints.append(request.url))
        page.goto(files(name, **options).as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.mark.parametrize("name", REPORTS)
def test_a_page_fits_a_desk_and_a_phone(shown: Shown, name: str) -> None:
    page = shown(name)
    for screen, picture, other in ((DESK, ".wide", ".narrow"), (PHONE, ".narrow", ".wide")):
        page.set_viewport_size(screen)
        assert page.title().startswith(page.locator("h1").inner_text())
        too_wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(too_wide) == 0
        for figure in page.locator("figure").all():
            assert figure.locator(picture).is_visible()
            assert not figure.locator(other).is_visible()
            box = figure.locator(f"{picture} svg").bounding_box()
            assert box is not None
            assert box["height"] > 100


@pytest.mark.parametrize("name", REPORTS)
def test_a_page_has_no_serious_barrier_for_anybody(shown: Shown, name: str) -> None:
    schemes = [(DESK, "light"), (PHONE, "dark")] if name in {"sla", "heatmap", "staffing"} else [(PHONE, "dark")]
    for screen, scheme in schemes:
        found = Axe().run(shown(name, screen, scheme, trusted=False))
        serious = [each for each in found.response["violations"] if each["impact"] in {"serious", "critical"}]
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in serious] == []


def test_every_chart_has_words_and_a_table_with_its_numbers(shown: Shown) -> None:
    for name in ("sla", "abandonment", "heatmap", "depth", "staffing"):
        page = shown(name)
        figures = page.locator("figure").all()
        assert figures
        for figure in figures:
            words = figure.locator(".wide").get_attribute("aria-label")
            assert words
            assert len(words) > 40
            figure.locator("summary").click()
            assert figure.locator("details tbody tr").first.is_visible()


def test_colours_follow_light_and_dark(shown: Shown) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    line = "getComputedStyle(document.querySelector('.wide svg path[stroke^=\"var(\"]')).stroke"
    light, dark = shown("sla", scheme="light"), shown("sla", scheme="dark")
    assert light.evaluate(paper) != dark.evaluate(paper)
    assert light.evaluate(line) != dark.evaluate(line)


def test_a_printed_page_has_its_tables_and_pictures_and_no_folds(shown: Shown) -> None:
    page = shown("sla")
    page.emulate_media(media="print")
    assert page.locator("figure svg").first.is_visible()
    assert not page.locator("summary").first.is_visible()
    assert page.locator("section table").first.is_visible()
    assert page.pdf().startswith(b"%PDF")


def test_hostile_queue_names_are_text_and_nothing_else(shown: Shown) -> None:
    page = shown("queues", queues=tuple(HOSTILE))
    assert page.locator("script, img, iframe").count() == 0
    assert page.get_by_text("<script>alert(1)</script>", exact=True).first.is_visible()


def test_a_long_name_in_a_title_and_a_tile_fits_a_phone(shown: Shown) -> None:
    page = shown("sla", PHONE, queues=("q" * 400,))
    assert "q" * 30 in page.locator("h1").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
