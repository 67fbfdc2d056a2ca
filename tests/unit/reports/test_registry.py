"""The catalogue's specs: each is registered, named as its report names itself, and in the docs."""

import re
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest

from reports import catalogue
from reports.catalogue.registry import OPTIONS, REPORTS, run
from tests.support.report_facts import NOON
from tests.support.requests import a_request

ROOT = Path(__file__).parents[3]


def test_every_module_that_ends_in_a_spec_is_registered() -> None:
    modules = [import_module(f"reports.catalogue.{each.name}") for each in iter_modules(catalogue.__path__)]
    assert {id(module.SPEC) for module in modules if hasattr(module, "SPEC")} == {id(spec) for spec in REPORTS.values()}


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_has_the_name_of_its_spec(fill: Any, name: str) -> None:
    assert run(name, fill(), a_request(NOON)).name == name


def test_the_docs_have_a_row_for_each_report_in_the_order_of_the_registry() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "docs/reports.md").read_text(), re.MULTILINE)
    assert [name for name in rows if name in REPORTS] == list(REPORTS)


def test_no_report_takes_an_option_that_is_checked_for_none() -> None:
    assert {option for spec in REPORTS.values() for option in spec.takes} <= set(OPTIONS)
