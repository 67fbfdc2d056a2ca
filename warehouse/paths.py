"""Paths as people write them: `~` is the home folder, everywhere the same, and every other character is itself."""

import os
import re
import stat
import unicodedata
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_CONTROL = {"Cc", "Cs", "Zl", "Zp"}


def expanded(text: object) -> Path:
    """Return the path that a text names, `~` and `~user` replaced by that user's home folder. Raises ValueError."""
    if not isinstance(text, str | Path):
        raise ValueError("expected the text of a path, found another kind of value")
    written = os.fspath(text)
    if not written:
        raise ValueError("expected a path, found an empty text: leave the setting out, or name a file")
    if any(unicodedata.category(char) in _CONTROL for char in written):
        raise ValueError(f"expected a path in UTF-8 without control characters, found {written!r}")
    if not written.startswith("~"):
        return Path(written)
    user = written[1:].partition("/")[0]
    home = os.path.expanduser(f"~{user}")
    if home == f"~{user}":
        whose = f"the user {user!r}" if user else "this user: expected HOME to be set, or"
        raise ValueError(f"found no home folder of {whose}; write the whole path, or ./{written} for a file named so")
    if not user and not os.environ.get("HOME", "/").startswith("/"):
        raise ValueError("HOME is no absolute path: set HOME to the home folder, or write the whole path")
    return Path(home + written[1 + len(user) :])


def database(text: object) -> Path:
    """Return the path of a database in a file.

    Raises ValueError for an address, a name of memory, a folder's name, and for a device, a pipe or a socket.

    SQLite and DuckDB read `:memory:`, `md:x`, `file:x?mode=memory` or `~/x` in ways of their own; they never see such a
    text.
    """
    path = expanded(text)
    written = os.fspath(text) if isinstance(text, str | Path) else ""
    if written.startswith(":"):
        raise ValueError(f"expected the path of a file, found {written!r}: what is only in memory is lost")
    if scheme := _SCHEME.match(written):
        raise ValueError(
            f"expected the path of a file on this machine, found an address that begins with {scheme[0]!r}; "
            f"a file named so is ./{scheme[0]}..."
        )
    if written.endswith("/") or path.name in {"", ".."} or (written.startswith("~") and "/" not in written):
        raise ValueError(f"expected the path of a file, found that of a folder, {written!r}")
    try:
        alike = os.fsencode(path) == str(path).encode()
    except UnicodeEncodeError:
        alike = False
    if not alike:
        raise ValueError(
            f"{written!a} has other bytes in this locale than in UTF-8, which databases read: set PYTHONUTF8=1"
        )
    if (kind := _special(path)) is not None:
        raise ValueError(f"expected the path of a file, found {kind}, {written!r}: it would be replaced")
    # Without its "./" a name such as "~" or "md:x" would mean something else to a database.
    return path.absolute() if path.parts[0].startswith("~") or ":" in path.parts[0] else path


def _special(path: Path) -> str | None:
    """Say which kind of thing that is no file stands at a path; None for a file, a folder or nothing."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return None  # said where it is opened
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return None
    return "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"


AnyPath = Annotated[Path, BeforeValidator(expanded)]
"""A file or a folder."""

DatabasePath = Annotated[Path, BeforeValidator(database)]
"""A file for SQLite or DuckDB."""
