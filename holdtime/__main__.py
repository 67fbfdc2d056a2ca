"""`python -m holdtime`, and the console script `holdtime`."""

import sys

from holdtime.cli import streams
from holdtime.service import allocator

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C has ended, as shells have it."""

LANDING = frozenset({"up", "process"})
"""The commands that land for as long as they run, and gain from a larger cache."""


def main() -> None:
    """Run the command that the arguments name."""
    try:
        streams.prepare()
        if sys.argv[1:2] and sys.argv[1] in LANDING and "--help" not in sys.argv:
            allocator.enlarge_cache()  # before any import that takes long: this starts the process again
        from holdtime.cli.main import main as run  # noqa: PLC0415

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
