"""A browser for the tests of pages: `python tests/support/browser.py` finds a Chromium, or installs Debian's.

Tests start what `installed` finds, and fail where there is none: a page that nobody looked at is not tested.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# It talks to nobody: what it would fetch of its own is of no use here, and some machines have no network.
_ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_MISSING = (
    "no Chromium was found: expected one of " + ", ".join(NAMES) + " on the PATH, or its path in HOLDTIME_BROWSER. "
    "`make browser` installs Debian's where it may; else install one, such as with `apt-get install chromium`"
)


def installed() -> str | None:
    """Return the path of a Chromium that is there, if one is."""
    named = os.environ.get("HOLDTIME_BROWSER")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


def install() -> None:
    """Install Debian's Chromium where this is allowed; else exit and say what to do."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        sys.exit(_MISSING)
    for command in (["update", "-qq"], ["install", "-qq", "--yes", "--no-install-recommends", "chromium"]):
        subprocess.run(
            ["apt-get", *command],
            check=True,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdout=subprocess.DEVNULL,
        )
    if installed() is None:
        sys.exit(_MISSING)


@contextmanager
def started() -> Iterator[Browser]:
    """Yield a headless browser. Raises RuntimeError where there is none."""
    path = installed()
    if path is None:
        raise RuntimeError(_MISSING)
    # Root has no sandbox to be put into; whatever is opened here was made here.
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*_ARGUMENTS, *sandbox])
        try:
            yield browser
        finally:
            browser.close()


if __name__ == "__main__" and installed() is None:
    install()
