"""Bounds on the resources that strangers may use: connections, bytes, time, and descriptors."""

import resource
from dataclasses import dataclass

MAX_CONNECTIONS = 4096
"""The default, where the process may have that many descriptors. Each takes some 10 KB: 40 MB in all."""

FILES_KEPT_BACK = 256
"""Descriptors that connections do not get: for the log, the warehouse, Kafka and files that are read now and then."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds. Beyond one, the oldest connection is ended first."""

    connections: int = 1000
    connections_per_address: int | None = None
    """Of one peer that is not on this machine; None for no such bound."""

    head_s: float = 10.0
    """For a request's head: for a connection's first from when it is made, for a later one from its first byte."""
    idle_s: float = 75.0
    """Between two requests: longer than proxies keep idle connections, so that the proxy closes first."""
    body_s: float = 5.0
    min_rate: int = 16 << 10
    """Bytes a second of a body that is not complete after `rate_counts_after_s`; Telnyx gives up after 2 s."""
    rate_counts_after_s: float = 2.0
    reading_s: float = 10.0
    """For a client to read an answer that waits for it."""
    closing_s: float = 5.0
    unfinished_bytes: int = 16 << 20
    """Of all incomplete heads and bodies, and of requests that were sent before their turn."""


def default_connections(descriptors: int) -> int:
    """Return how many connections a process with so many descriptors takes: a quarter, 256 at most, is kept back."""
    return min(MAX_CONNECTIONS, max_connections(descriptors))


def max_connections(descriptors: int) -> int:
    """Return the most connections that may be configured."""
    return max(1, descriptors - min(FILES_KEPT_BACK, descriptors // 4 + 32))


def raise_descriptors() -> int:
    """Raise this process's soft limit of descriptors to the hard one; return the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return _count(soft)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):  # a kernel that has a lower bound of its own
        return _count(soft)
    return _count(hard)


def _count(limit: int) -> int:
    return 1 << 20 if limit == resource.RLIM_INFINITY else limit
