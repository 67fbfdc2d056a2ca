"""A campaign: many trials of one promise, in shares that are the same for the same seed, side by side."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from multiprocessing import get_context

WORKERS = 2


@dataclass
class Tally:
    """What came of some trials: how many there were, counts of what was seen, and each failure in words."""

    trials: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Take in what came of others."""
        self.trials += other.trials
        self.counts.update(other.counts)
        self.failures += other.failures


@dataclass(frozen=True)
class Campaign:
    """A promise to be tried. `run` tries one share of it, given the share's seed and size, in a process of its own.

    `limit_s`: no share is begun after so many seconds; what was not tried is then missing from the figures.
    """

    name: str
    run: Callable[[int, int], Tally]
    trials: int
    quick_trials: int
    share: int
    limit_s: float
    none_of: Sequence[str]
    """The counts that must stay 0."""
    at_most: Mapping[str, int] = field(default_factory=dict)
    """Counts with an upper bound."""

    def wanted(self, *, quick: bool) -> int:
        """How many trials there are to be."""
        return self.quick_trials if quick else self.trials

    def bars(self, *, quick: bool) -> dict[str, int]:
        """What its figures are held against: so many trials at least, and at most so much of the others."""
        return {self.name: self.wanted(quick=quick), **dict.fromkeys(self.none_of, 0), **self.at_most}

    def hold(self, *, quick: bool, seed: int, progress: Callable[[int], None]) -> Tally:
        """Try all shares, two at a time; `progress` is told of trials that are done."""
        left = self.wanted(quick=quick)
        sizes = [self.share] * (left // self.share) + [left % self.share] * (left % self.share > 0)
        shares = [(seed * 1_000_003 + number, size) for number, size in enumerate(sizes)]
        tally, give_up = Tally(), time.monotonic() + self.limit_s
        with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
            running: dict[Future[Tally], tuple[int, int]] = {}
            while running or (shares and time.monotonic() < give_up):
                while shares and len(running) < WORKERS and time.monotonic() < give_up:
                    share = shares.pop(0)
                    running[pool.submit(self.run, *share)] = share
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    share_seed, _ = running.pop(done)
                    part = done.result()
                    part.failures = [f"{self.name}, share {share_seed}: {failure}" for failure in part.failures]
                    tally.add(part)
                    progress(part.trials)
        return tally
