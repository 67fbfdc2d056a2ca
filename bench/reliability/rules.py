"""The rules in bulk: arbitrary histories, many to a warehouse, give the facts that the model says, live and rebuilt.

The laws in tests/laws land each history by itself, which takes a second. Here many histories, with names of their own,
land together in two ways, and each is a trial. Where something differs, the histories are tried one by one.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

from bench.reliability.campaign import Campaign, Tally
from tests.support.builders import opened_warehouse
from tests.support.histories import CLOCKS, HISTORIES, Told, delivery, named_apart
from tests.support.landing import everything, expected, landed, shown

TOGETHER = 20


def run(seed: int, histories: int) -> Tally:
    """Try so many histories."""
    rng = random.Random(seed)
    tally = Tally(trials=histories)
    drawn = _drawn(seed, histories)
    for start in range(0, len(drawn), TOGETHER):
        some = drawn[start : start + TOGETHER]
        ways = rng.randint(0, 10_000), rng.randint(1, 10_000)
        clock = rng.randrange(len(CLOCKS))
        if list(_faults(some, ways, clock)):
            # Whether one by one they fail too or not, the group is at fault.
            alone = [fault for each in some for fault in _faults([each], ways, clock)]
            tally.failures += alone[:3] or [f"{len(some)} histories together, ways {ways}, clock {clock}"]
            tally.counts["rules_at_fault"] += max(1, len(alone))
    return tally


def _drawn(seed: int, many: int) -> list[list[Told]]:
    found: list[list[Told]] = []

    @seeded(seed)
    @settings(
        max_examples=many,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(HISTORIES)
    def draw(history: list[Told]) -> None:
        found.append(named_apart(history, f"{len(found):04}-"))

    draw()
    return found


def _faults(histories: Sequence[list[Told]], ways: tuple[int, int], clock: int) -> Iterator[str]:
    """What is not as the rules say, in words."""
    history = [told for each in histories for told in each]
    where = f"ways {ways}, clock {clock}: {history if len(histories) == 1 else ''}"
    one, other = (delivery(history, way=way, clock=CLOCKS[clock]) for way in ways)
    with opened_warehouse() as first, opened_warehouse() as second:
        if shown(landed(first, one)) != expected(history, judged_at=one.last_clock):
            yield f"other facts than the model's, {where}"
        landed(second, other)
        if first.facts() != second.facts():
            yield f"other facts in another order, {where}"
        before = everything(second)
        second.rebuild()
        after = everything(second)
        if differing := Counter(table for table in before if before[table] != after[table]):
            yield f"other {', '.join(differing)} after a rebuild, {where}"


CAMPAIGN = Campaign("rules", run, 2_000, 200, 100, 1_200, ("rules_at_fault",))
