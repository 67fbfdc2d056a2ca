"""Whatever a page says, nothing crashes, everything that is published lands, and no loop goes on for ever."""

from collections import Counter
from pathlib import Path

from tests.support.documented import FIELDS
from tests.support.generated import Generated
from tests.support.nonsense import reconciled
from tests.support.reconciling import Center

PAGES = 60
"""The stand-in's; of the others twice as many. The campaign has 2,000 of either kind."""


def assert_sound(center: Center, faults: Counter[str]) -> None:
    """What was published has landed, and a rebuild says the same."""
    assert [row["reason"] for row in center.warehouse.dicts("rejected")] == []
    assert faults["none"] > 0
    facts = center.warehouse.facts()
    center.warehouse.rebuild()
    assert center.warehouse.facts() == facts
    center.close()


def test_pages_that_no_document_describes_crash_nothing(tmp_path: Path) -> None:
    center, faults, _ = reconciled(tmp_path, seed=1, pages=PAGES, mangled=True)
    assert_sound(center, faults)


def test_pages_with_fields_missing_null_unknown_and_besides_crash_nothing_on_any_endpoint(tmp_path: Path) -> None:
    center, faults, nonsense = reconciled(tmp_path, seed=3, pages=2 * PAGES, mangled=False)
    assert isinstance(nonsense, Generated)
    assert set(nonsense.asked) == set(FIELDS)
    assert_sound(center, faults)
