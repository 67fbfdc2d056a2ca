"""How the API treats who asks: how much is allowed, what is remembered for how long, and what goes wrong."""

import random
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(slots=True)
class Manners:
    """Limits, retention and faults; the defaults are Telnyx's on a good day, without a limit.

    `limit` requests are answered in each window of `window_s`, the rest with 429. `forbidden` names the first words of
    paths that this key may not use. Shares are of requests, drawn from a seeded generator: `failing` are answered with
    a 500, `cut` break off half-way, `without_meta` come without it, `halved` with half of their items.
    """

    limit: int | None = None
    window_s: float = 60.0
    says_retry_after: bool = False
    forbidden: frozenset[str] = frozenset()
    call_events_for: timedelta = timedelta(hours=24)
    deliveries_for: timedelta | None = None
    detail_records_for: timedelta | None = None
    conferences_for: timedelta | None = None
    failing: float = 0.0
    cut: float = 0.0
    without_meta: float = 0.0
    halved: float = 0.0
    seed: int = 0
    rng: random.Random = field(init=False)
    asked: dict[str, int] = field(default_factory=dict)
    """How many requests came, by the first word of the path."""

    def __post_init__(self) -> None:
        self.rng = random.Random(f"{self.seed}/manners")

    def happens(self, share: float) -> bool:
        """Draw once."""
        return share > 0 and self.rng.random() < share

    def count(self, word: str) -> None:
        """One more request."""
        self.asked[word] = self.asked.get(word, 0) + 1
