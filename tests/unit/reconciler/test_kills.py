"""`kill -9` at any moment of a reconciliation, and again: the end is the same."""

from pathlib import Path

from bench.reliability.reconciled import Trial


def test_a_reconciliation_that_is_killed_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    trial = Trial(tmp_path, seed=1)
    wanted = trial.unbroken()
    assert list(trial.killed(kills=1)) == [wanted]
