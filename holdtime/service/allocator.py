"""The C library's allocator, told to keep more small blocks at hand: DuckDB plans its statements out of thousands."""

import os
import sys

TUNABLES = "GLIBC_TUNABLES"
CACHE = "glibc.malloc.tcache_count"
MAX_BLOCKS = 65_000
"""Blocks of a size that a thread keeps for itself; glibc's own are 7, and all others cost it a search."""


def enlarge_cache() -> None:
    """Have this process start again with a larger cache, unless it has one, or whoever started it chose another.

    glibc reads that once, when a process starts; the process stays the same one, with the same arguments. A batch of
    some hundred events then lands with a third less processor time. Other C libraries are left alone.
    """
    chosen = os.environ.get(TUNABLES, "")
    if CACHE in chosen or "CS_GNU_LIBC_VERSION" not in os.confstr_names or not sys.executable:
        return
    os.environ[TUNABLES] = ":".join(filter(None, [chosen, f"{CACHE}={MAX_BLOCKS}"]))
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606
