"""How thoroughly a law is tried: a part of what there is to try every day, all of it in a campaign."""

from collections.abc import Iterable
from itertools import islice
from typing import TypeVar

from hypothesis import settings

EVERY_DAY = settings.get_current_profile_name() != "campaign"
T = TypeVar("T")


def tried(every_day: int) -> settings:
    """So many examples every day (each lands a few batches, a tenth of a second each), all of them in a campaign."""
    return settings(max_examples=every_day) if EVERY_DAY else settings()


def thinned(cases: Iterable[T], step: int, *, first: int = 0) -> list[T]:
    """Every `step`th case from the `first` on every day, all of them in a campaign."""
    return list(islice(cases, first, None, step) if EVERY_DAY else cases)
