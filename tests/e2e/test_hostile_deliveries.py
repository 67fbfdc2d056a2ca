"""Signed deliveries of hostile bodies to a server of its own: whatever they hold, it answers, and goes on."""

from pathlib import Path

from tests.support.hostile_deliveries import faults_over_http


def test_a_server_takes_hostile_deliveries_and_goes_on(tmp_path: Path) -> None:
    assert faults_over_http(tmp_path, seed=5, bodies=150) == []
