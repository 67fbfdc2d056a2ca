"""The pages: what they link to is there, every decision is listed, every setting is named."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from holdtime.config.settings import Settings

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
DECISIONS = ROOT / "docs" / "decisions"
WHERE_SETTINGS_ARE_NAMED = ("operations.md", "reports.md", "schedules.md")


def anchors(page: Path) -> set[str]:
    """The names by which the headings of a page are linked to, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_decision_is_in_the_index_under_its_own_number_and_title() -> None:
    index = (DECISIONS / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| (\d+) \| \[(.*)\]\((.*)\) \| (accepted|superseded)", index, re.MULTILINE)
    written = []
    for page in sorted(DECISIONS.glob("[0-9]*.md")):
        number, _, title = page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ").partition(". ")
        assert page.name.startswith(f"{int(number):04}-")
        written.append((number, title, page.name))
    assert [found[:3] for found in listed] == written


def names(section: type[BaseModel]) -> Iterator[str]:
    """The names of all settings of a section and of the sections in it."""
    for name, field in section.model_fields.items():
        yield str(field.validation_alias or name)
        for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from names(inner)


@pytest.mark.parametrize("name", sorted(set(names(Settings)) - {"environment", "configuration"}))
def test_every_setting_is_named_in_a_page(name: str) -> None:
    pages = [(ROOT / "docs" / page).read_text(encoding="utf-8") for page in WHERE_SETTINGS_ARE_NAMED]
    named = re.compile(rf"^{name} = |^\[\[?{name}\]|^[^=]*`[^`\n]*\b{name}\b[^`\n]*`", re.MULTILINE)
    assert any(named.search(page) for page in pages)
