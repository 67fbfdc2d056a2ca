"""Exact steady-state Erlang C (M/M/n) and Erlang A (M/M/n+M): what a queue's waits should be, given its load.

Arrivals are Poisson, service and patience exponential, agents alike, callers served first come, first served.
Erlang C's callers wait for ever; Erlang A's give up after an exponential patience. All rates are per second and all
times in seconds.

Sources: A. K. Erlang (1917); C. Palm (1957); A. Mandelbaum and S. Zeltyn, "Service engineering in action: the
Palm/Erlang-A queue" (2007), whose integral J(t) is the series below divided by the agents' total service rate.
"""

import math
from dataclasses import dataclass, field
from itertools import count

_NEGLIGIBLE = 1e-17
_LARGE = 1e280


@dataclass(frozen=True, slots=True)
class ErlangC:
    """M/M/n: nobody gives up. With `agents <= offered_load` the queue grows for ever: waits are infinite.

    Raises ValueError for a rate, time or number of agents that is not positive and finite.
    """

    arrivals_per_s: float
    mean_service_s: float
    agents: int
    p_wait: float = field(init=False)
    """The chance that an arrival finds every agent busy."""

    def __post_init__(self) -> None:
        _require_positive(self, "arrivals_per_s", "mean_service_s", "agents")
        object.__setattr__(self, "p_wait", self._p_wait())

    def _p_wait(self) -> float:
        if self.offered_load >= self.agents:
            return 1.0
        blocked = erlang_b(self.offered_load, self.agents)
        return blocked / (1 - self.utilisation * (1 - blocked))

    @property
    def offered_load(self) -> float:
        """Work that arrives per unit of time, in erlangs."""
        return self.arrivals_per_s * self.mean_service_s

    @property
    def utilisation(self) -> float:
        """The share of their time that agents are busy; 1 at most."""
        return min(1.0, self.offered_load / self.agents)

    @property
    def mean_wait_s(self) -> float:
        """Mean wait over all calls, those that do not wait included."""
        spare = self.agents - self.offered_load
        return self.p_wait * self.mean_service_s / spare if spare > 0 else math.inf

    @property
    def mean_queue(self) -> float:
        """Mean number of calls waiting (Little's law)."""
        return self.arrivals_per_s * self.mean_wait_s

    def p_wait_beyond(self, t_s: float) -> float:
        """Return the chance of a wait longer than `t_s`."""
        spare = max(0.0, self.agents - self.offered_load)
        return self.p_wait * math.exp(-spare * t_s / self.mean_service_s)

    def service_level(self, t_s: float) -> float:
        """Return the share of calls answered within `t_s`; every variant is the same when nobody gives up."""
        return 1 - self.p_wait_beyond(t_s)


@dataclass(frozen=True, slots=True)
class ErlangA:
    """M/M/n+M: each caller gives up after an exponential patience. It is stable under any load.

    Computing takes time in proportion to the queue's length, so a patience of years under overload is slow; for
    callers who never give up use `ErlangC`. Raises ValueError as `ErlangC` does.
    """

    arrivals_per_s: float
    mean_service_s: float
    agents: int
    mean_patience_s: float
    p_wait: float = field(init=False)
    """The chance that an arrival finds every agent busy."""
    _waiting: "_Series" = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _require_positive(self, "arrivals_per_s", "mean_service_s", "agents", "mean_patience_s")
        waiting = _series(self._capacity, self.arrivals_per_s * self.mean_patience_s)
        object.__setattr__(self, "_waiting", waiting)
        # the states with every agent busy weigh `load * series` against 1 / B(n - 1) for all the others
        blocked = erlang_b(self.arrivals_per_s * self.mean_service_s, self.agents - 1)
        log_busy = math.log(self._load) + waiting.log_sum + (math.log(blocked) if blocked else -math.inf)
        object.__setattr__(self, "p_wait", 1 / (1 + math.exp(min(-log_busy, 700.0))))

    @property
    def _load(self) -> float:
        return self.arrivals_per_s * self.mean_service_s / self.agents

    @property
    def _capacity(self) -> float:
        """Calls that all agents together complete in one mean patience."""
        return self.agents * self.mean_patience_s / self.mean_service_s

    @property
    def mean_queue(self) -> float:
        """Mean number of calls waiting."""
        return self.p_wait * self._waiting.mean

    @property
    def mean_wait_s(self) -> float:
        """Mean time in queue over all calls, whatever became of them (Little's law)."""
        return self.mean_queue / self.arrivals_per_s

    @property
    def p_abandon(self) -> float:
        """The share of calls that give up: waiting calls leave at the rate `mean_queue / mean_patience_s`."""
        return min(1.0, self.mean_wait_s / self.mean_patience_s)

    @property
    def utilisation(self) -> float:
        """The share of their time that agents are busy."""
        return min(1.0, self._load * (1 - self.p_abandon))

    @property
    def mean_wait_answered_s(self) -> float:
        """Mean wait of the calls that are answered (ASA), those that did not wait included."""
        unserved_time = self.p_wait * self._waiting.mean_harmonic * self.mean_patience_s
        return unserved_time / (self._load * (1 - self.p_abandon))

    @property
    def mean_wait_abandoned_s(self) -> float:
        """Mean wait of the calls that give up; NaN when none does."""
        abandoned = self.p_abandon
        answered_s = (1 - abandoned) * self.mean_wait_answered_s
        return (self.mean_wait_s - answered_s) / abandoned if abandoned else math.nan

    def p_wait_beyond(self, t_s: float) -> float:
        """Return the share of all calls that are still waiting after `t_s`: neither answered nor gone."""
        offered_wait = self._tail(t_s, _series(self._capacity, self._decayed(t_s)).log_sum)
        return offered_wait * math.exp(-t_s / self.mean_patience_s)

    def p_answered_after(self, t_s: float) -> float:
        """Return the share of all calls that are answered, but later than `t_s`."""
        # the logarithm by itself: after a long wait the term is too small for a float
        log_decayed = math.log(self.arrivals_per_s * self.mean_patience_s) - t_s / self.mean_patience_s
        series = _series(self._capacity + 1, self._decayed(t_s))
        rest = log_decayed - math.log1p(self._capacity) + series.log_sum
        return self._tail(t_s, rest) / self._load

    def service_level(self, t_s: float) -> float:
        """Return the share of all calls answered within `t_s` (the variant `offered`)."""
        return max(0.0, 1 - self.p_abandon - self.p_answered_after(t_s))

    def service_level_of_answered(self, t_s: float) -> float:
        """Return the share of answered calls that were answered within `t_s` (the variant `answered_only`)."""
        return self.service_level(t_s) / (1 - self.p_abandon)

    def _decayed(self, t_s: float) -> float:
        return self.arrivals_per_s * self.mean_patience_s * math.exp(-t_s / self.mean_patience_s)

    def _tail(self, t_s: float, log_sum: float) -> float:
        """Return p_wait * exp(integral to t of the queue's drift) * the ratio of two series."""
        arrived = -self.arrivals_per_s * self.mean_patience_s * math.expm1(-t_s / self.mean_patience_s)
        drift = arrived - self.agents * t_s / self.mean_service_s
        return self.p_wait * math.exp(drift + log_sum - self._waiting.log_sum)


def erlang_b(offered_load: float, agents: int) -> float:
    """Return the share of calls lost in M/M/n/n, by the recursion in n that never overflows (Jagerman)."""
    blocked = 1.0
    for n in range(1, agents + 1):
        blocked = offered_load * blocked / (n + offered_load * blocked)
    return blocked


@dataclass(frozen=True, slots=True)
class _Series:
    log_sum: float
    mean: float
    """Of k, weighed by the terms."""
    mean_harmonic: float
    """Of 1/(c+1) + ... + 1/(c+k), weighed by the terms."""


def _series(c: float, z: float) -> _Series:
    """Sum z^k / ((c+1)...(c+k)) over k >= 0: the weights of k calls waiting. All terms are positive.

    EffectivePolicy grow until c + k passes z; sums are scaled down on the way, so that nothing overflows.
    """
    term = total = 1.0
    by_k = by_harmonic = harmonic = 0.0
    log_scale = 0.0
    for k in count(1):
        ratio = z / (c + k)
        term *= ratio
        harmonic += 1 / (c + k)
        total += term
        by_k += term * k
        by_harmonic += term * harmonic
        if ratio < 1 and term * k < _NEGLIGIBLE * (1 - ratio) ** 2 * max(by_k, term):
            break
        if total > _LARGE or by_k > _LARGE:
            term, total, by_k, by_harmonic = (x / _LARGE for x in (term, total, by_k, by_harmonic))
            log_scale += math.log(_LARGE)
        if not term:
            break
    return _Series(log_scale + math.log(total), by_k / total, by_harmonic / total)


def _require_positive(model: ErlangC | ErlangA, *names: str) -> None:
    for name in names:
        value = getattr(model, name)
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be positive and finite, got {value!r}")
