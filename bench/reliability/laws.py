"""Arbitrary histories, landed in arbitrary ways through crashes and rebuilds, end up byte for byte the same.

One trial is one history with up to a dozen steps: see `tests/support/machine.py`. A failure holds the shortest history
that was found to break the law.
"""

from bench.reliability.campaign import Campaign, Tally
from tests.support.machine import searched


def run(seed: int, examples: int) -> Tally:
    """Try `examples` histories."""
    found = searched(examples=examples, seed=seed)
    tally = Tally(trials=examples)
    if found is not None:
        tally.failures.append(found)
        tally.counts["law_failures"] += 1
    return tally


CAMPAIGN = Campaign("law_examples", run, 2_000, 40, 20, 900, ("law_failures",))
