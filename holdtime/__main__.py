"""`python -m holdtime` is `holdtime`."""

from holdtime.cli import main

main()
