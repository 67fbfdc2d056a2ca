"""The laws of landing as a state machine; a long search of it is part of `make bench-reliability`."""

import pytest
from hypothesis import settings

from tests.support.effort import tried
from tests.support.machine import (
    STEPS,
    CenterMachine,
    searched,
)

TestAWarehouseEndsUpTheSameWhateverHappens = CenterMachine.TestCase
TestAWarehouseEndsUpTheSameWhateverHappens.settings = settings(tried(5), stateful_step_count=STEPS)


def test_a_search_finds_a_difference_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine can fail: here it is made to compare when events were stored."""
    monkeypatch.setattr("tests.support.machine.OF_THE_DELIVERY", "body, log_partition, log_offset")
    found = searched(examples=20, seed=1, shrink=False)
    assert found is not None
    assert "AssertionError" in found
    assert "state.teardown()" in found
