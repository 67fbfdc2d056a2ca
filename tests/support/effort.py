"""How thoroughly a law is tried: a part of the examples every day, all of them in a campaign."""

from hypothesis import settings

EVERY_DAY = settings.get_current_profile_name() != "campaign"


def tried(every_day: int) -> settings:
    """So many examples every day (each lands a few batches, a tenth of a second each), all of them in a campaign."""
    return settings(max_examples=every_day) if EVERY_DAY else settings()
