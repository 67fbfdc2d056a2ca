"""The C library's cache of small blocks, made larger: DuckDB plans its statements out of thousands of them."""

import os
import sys

TUNABLES = "GLIBC_TUNABLES"
CACHE = "glibc.malloc.tcache_count"
MAX_BLOCKS = 65_000
"""Blocks of a size that a thread keeps for itself; glibc's own are 7, and all others cost it a search."""


def is_chosen() -> bool:
    """Whether whoever started this process chose the size of the cache, or its C library has no such cache."""
    return CACHE in os.environ.get(TUNABLES, "") or "CS_GNU_LIBC_VERSION" not in os.confstr_names


def enlarge_cache() -> None:
    """Start this process again with a larger cache, unless the size is chosen.

    glibc reads it once, when a process starts; the process stays the same one, with the same arguments. A batch of
    some hundred events then lands with a third less processor time. Other C libraries are left alone.
    """
    if is_chosen() or not sys.executable:
        return
    os.environ[TUNABLES] = setting()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606


def setting() -> str:
    """The value of `GLIBC_TUNABLES` that adds the larger cache to what is tuned already."""
    return ":".join(filter(None, [os.environ.get(TUNABLES, ""), f"{CACHE}={MAX_BLOCKS}"]))
