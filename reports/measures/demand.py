"""The demand on a queue, and the fewest agents that meet it by Erlang C and Erlang A."""

from dataclasses import dataclass
from functools import lru_cache

from reports.measures.erlang import ErlangA, ErlangC

MAX_AGENTS = 10_000


@dataclass(frozen=True, slots=True)
class Demand:
    """The calls that come to a queue in an interval, and the service level that is wanted for them.

    Times are in seconds. `patience_s` is None where nobody gave up. `target` is a fraction.
    """

    arrivals: int
    length_s: float
    handle_s: float
    patience_s: float | None
    threshold_s: float
    target: float

    @property
    def arrivals_per_s(self) -> float:
        return self.arrivals / self.length_s

    @property
    def load(self) -> float:
        """Work that arrives per unit of time, in erlangs."""
        return self.arrivals_per_s * self.handle_s

    def erlang_c(self, agents: int) -> ErlangC:
        """Return the model in which nobody gives up."""
        return ErlangC(self.arrivals_per_s, self.handle_s, agents)

    def erlang_a(self, agents: int) -> ErlangA | None:
        """Return the model in which callers give up; None where their patience is not known."""
        return None if self.patience_s is None else ErlangA(self.arrivals_per_s, self.handle_s, agents, self.patience_s)

    def service_level(self, agents: int, *, give_up: bool) -> float:
        """Return the service level that a model predicts; 0 where there is no model."""
        model = self.erlang_a(agents) if give_up else self.erlang_c(agents)
        return 0.0 if model is None else model.service_level(self.threshold_s)


@lru_cache(maxsize=20_000)
def agents_needed(demand: Demand, *, give_up: bool) -> int | None:
    """Return the fewest agents that reach the target; None where `MAX_AGENTS` do not, or patience is not known."""
    if (give_up and demand.patience_s is None) or demand.load > MAX_AGENTS:
        return None
    low, high = 0, max(1, int(demand.load))
    while demand.service_level(high, give_up=give_up) < demand.target:
        low, high = high, high * 2
        if high > MAX_AGENTS:
            return None
    # The level grows with the agents: halve what lies between too few and enough.
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if demand.service_level(middle, give_up=give_up) >= demand.target else (middle, high)
    return high
