from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.center import Center, a_center


@pytest.fixture
def center(tmp_path: Path) -> Iterator[Center]:
    """A folder of its own and a free port."""
    with a_center(tmp_path) as made:
        yield made
