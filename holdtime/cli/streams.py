"""Standard input, output and error as a command finds them: closed, full, broken or not in UTF-8."""

import codecs
import io
import os
import re
import sys

_MARKED = "holdtime.marked"
_IN_ASCII = {"✓": "+", "✗": "x", "•": "*", "–": "-", "─": "-", "━": "-", "…": "~"}  # noqa: RUF001 -- what we write
_OURS = re.compile(f"([{''.join(_IN_ASCII)}])")
_MISSING = {0: os.O_WRONLY, 1: os.O_RDONLY, 2: os.O_WRONLY}
"""How `/dev/null` is opened for a closed stream: to read the input or to write the output is an error then."""


def prepare() -> None:
    """Open the streams that are closed, so that no database gets their numbers.

    What the encoding of standard output lacks is written there as `?`, as wide as it would have been; our own signs
    have others in ASCII. Comes before everything that opens a file.
    """
    for number, flags in _MISSING.items():
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is given out, and those below it are open by now.
            os.open(os.devnull, flags)
            os.set_inheritable(number, True)
    if not os.environ.get("COLUMNS", "1").strip("0").isdigit():
        del os.environ["COLUMNS"]  # a terminal without a column: nothing would be shown on it
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - it stays open
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        codecs.register_error(_MARKED, _marked)
        sys.stdout.reconfigure(errors=_MARKED)
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")


def _marked(error: UnicodeError) -> tuple[str, int]:
    """Replace characters by marks that take as many cells of a terminal, so that columns stay in line."""
    from rich.cells import cell_len

    if not isinstance(error, UnicodeEncodeError):
        raise error
    pieces = _OURS.split(error.object[error.start : error.end])
    return "".join(_IN_ASCII.get(piece) or "?" * (cell_len(piece) or len(piece)) for piece in pieces), error.end


def finish() -> None:
    """Flush both streams. Raises OSError where standard output fails; a failing standard error is passed over."""
    _flushed(2)
    sys.stdout.flush()


def abandon() -> bool:
    """Drop buffered text that cannot be written: the interpreter would try again at its end, and change the exit code.

    Returns whether standard output had such text.
    """
    _flushed(2)
    return not _flushed(1)


def _flushed(number: int) -> bool:
    try:
        (sys.stdout if number == 1 else sys.stderr).flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)
        return False
    return True
