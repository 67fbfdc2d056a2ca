"""The warehouse's views hold the measures as they are defined."""

from pathlib import Path

import pytest

from reports.measures.definitions import Aggregate, Ratio
from reports.measures.measures import (
    ABANDONMENT,
    AGGREGATES,
    MEANS,
    VARIANTS,
)
from reports.measures.views import rendered

VIEWS = sorted(Path("warehouse/views").glob("*.sql"))


def test_the_views_hold_the_measures_as_they_are_defined() -> None:
    for view in VIEWS:
        text = view.read_text(encoding="utf-8")
        assert text == rendered(text), "run make views"


def test_every_measure_that_rolls_up_is_in_the_views() -> None:
    views = "".join(view.read_text(encoding="utf-8") for view in VIEWS)
    measures: tuple[Aggregate | Ratio, ...] = (*AGGREGATES, *VARIANTS.values(), *ABANDONMENT, *MEANS)
    for measure in measures:
        assert measure.sql in views, measure.name


def test_a_place_is_filled_whatever_stood_in_it() -> None:
    views = "select\n    queue,\n    -- measures: ratios\n    1 as old,\n    -- end of measures\nfrom counts;\n"
    filled = rendered(views)
    assert "1 as old" not in filled
    assert "    -- measures: ratios\n    (answered_within) / nullif(" in filled
    assert filled.endswith("as mean_wait_abandoned_ms\n    -- end of measures\nfrom counts;\n")
    with pytest.raises(KeyError, match="rates"):
        rendered(views.replace("ratios", "rates"))
