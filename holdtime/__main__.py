"""`python -m holdtime`, and the console script `holdtime`."""

import sys

from holdtime.cli import streams
from holdtime.service import allocator

INTERRUPTED = 130
"""The exit code of what Ctrl-C has ended, as shells have it."""


def main() -> None:
    """Run the command that the arguments name."""
    try:
        streams.prepare()
        allocator.enlarge_cache()  # before whatever takes long to import: this starts the process again
        from holdtime.cli.main import main as run  # noqa: PLC0415

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
