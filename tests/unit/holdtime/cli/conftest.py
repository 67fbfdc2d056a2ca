from pathlib import Path

import pytest

from tests.support.command_line import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine on which nothing was done yet."""
    return Machine(tmp_path)
