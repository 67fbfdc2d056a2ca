"""Percentiles of many groups at once are those that sorting each group gives, whatever the numbers."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.measures.nearest_rank import Wanted, ordered

ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "", None]),
        st.one_of(st.none(), st.integers(-3, 3)),
        st.one_of(st.integers(-5, 40), st.integers(0, 2**40)),
        st.booleans(),
    ),
    max_size=40,
)
PERCENTS = (1, 50, 90, 99, 100)


def by_hand(
    rows: list[tuple[str | None, int | None, int, bool]], percent: int
) -> dict[tuple[object, ...], tuple[object, ...]]:
    """The same, one group after the other."""
    found: dict[tuple[object, ...], tuple[object, ...]] = {}
    for group in {row[:2] for row in rows}:
        every = sorted(value for *of, value, _ in rows if tuple(of) == group)
        chosen = sorted(value for *of, value, is_in in rows if tuple(of) == group and is_in)
        found[group] = tuple(v[-(-percent * len(v) // 100) - 1] if v else None for v in (every, chosen))
    return found


@given(rows=ROWS)
def test_every_percentile_of_every_group_and_population_is_the_one_found_by_hand(rows: list[tuple]) -> None:  # type: ignore[type-arg]
    schema = {"queue": pl.Categorical, "interval": pl.Int64, "wait": pl.Int64, "chosen": pl.Boolean}
    found = ordered(pl.DataFrame(rows, schema=schema, orient="row"), ["queue", "interval"], "wait", [None, "chosen"])
    for percent in PERCENTS:
        wanted = [Wanted("of_all", percent), Wanted("of_some", percent, "chosen")]
        apart = found.apart(wanted)
        assert apart.columns == ["queue", "interval", "of_all", "of_some"]
        assert {row[:2]: row[2:] for row in apart.rows()} == by_hand(rows, percent)
        as_one = by_hand([(None, None, value, is_in) for *_, value, is_in in rows], percent)
        assert found.together(wanted).rows() == (list(as_one.values()) or [(None, None)])


@pytest.mark.parametrize("far", [2**20, 2**45, 2**61])
def test_numbers_too_large_to_pack_into_one_word_are_packed_into_two(far: int) -> None:
    frame = pl.DataFrame({"group": [0, far, far, far], "wait": [far, 1, far, 0]})
    found = ordered(frame, ["group"], "wait", [None])
    assert sorted(found.apart([Wanted("median", 50)]).rows()) == [(0, far), (far, 1)]
    assert found.together([Wanted("median", 50), Wanted("p75", 75)]).rows() == [(1, far)]


def test_without_groups_there_is_one_row() -> None:
    found = ordered(pl.DataFrame({"wait": [3, 1, 2]}), [], "wait", [None])
    assert found.apart([Wanted("median", 50)]).rows() == found.together([Wanted("median", 50)]).rows() == [(2,)]
