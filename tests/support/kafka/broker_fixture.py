"""The broker of a test run: one, whoever of pytest's workers needs it first."""

import fcntl
import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.support.kafka.cluster import Broker, Cluster

UNTESTED = "HOLDTIME_TEST_KAFKA"

_NOTE = "kafka.json"


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where a broker is that tests may fill with topics of their own; they name them by a prefix nobody else has."""
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    return given or _shared(run_folder(tmp_path_factory))


def run_folder(factory: pytest.TempPathFactory) -> Path:
    """The folder that all workers of this run share."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def _shared(folder: Path) -> str:
    with (folder / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        note = folder / _NOTE
        if not note.exists():
            cluster = Cluster.made(folder / "kafka")
            note.write_text(json.dumps([asdict(broker) for broker in cluster.brokers]))
        return Cluster([Broker(**broker) for broker in json.loads(note.read_text())]).bootstrap


def end(folder: Path) -> None:
    """End the run's broker, if there is one."""
    note = folder / _NOTE
    if note.exists():
        for broker in json.loads(note.read_text()):
            Broker(**broker).kill()
        note.unlink()
