"""How thoroughly the laws are tried: HYPOTHESIS_PROFILE=campaign for a long search, unshrunk to fail at once."""

import os

import pytest
from hypothesis import HealthCheck, Phase, settings

from holdtime.service.allocator import (
    CACHE,
    MAX_BLOCKS,
    TUNABLES,
)
from tests.support.kafka.broker_fixture import (
    UNTESTED,
    end,
    kafka,
    run_folder,
)

__all__ = ["kafka"]

# Other programs share the machine, so nothing here is judged by how long it takes.
_SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)

settings.register_profile("default", deadline=None, suppress_health_check=_SLOW)
settings.register_profile("campaign", deadline=None, suppress_health_check=_SLOW, max_examples=2_000)
settings.register_profile("unshrunk", deadline=None, suppress_health_check=_SLOW, phases=[Phase.generate])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# As every process of holdtime has it: so the workers of this run do, and what tests start need not start twice.
os.environ.setdefault(TUNABLES, f"{CACHE}={MAX_BLOCKS}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what needs a broker only when told to."""
    if os.environ.get(UNTESTED) != "off":
        return
    for item in items:
        if item.get_closest_marker("kafka"):
            item.add_marker(pytest.mark.skip(reason=f"{UNTESTED}=off"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what was not tested."""
    untested = [
        report.nodeid for report in terminalreporter.stats.get("skipped", []) if UNTESTED in str(report.longrepr)
    ]
    if untested:
        terminalreporter.section(f"NOT TESTED: {len(untested)} tests need a Kafka broker, and {UNTESTED}=off", red=True)
        for nodeid in untested:
            terminalreporter.line(nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End the broker that some test of this run has started."""
    factory = getattr(session.config, "_tmp_path_factory", None)
    if factory is not None and "PYTEST_XDIST_WORKER" not in os.environ:
        end(run_folder(factory))
