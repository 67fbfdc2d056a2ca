"""Files for people: each is written beside its place, then renamed, so that a failure leaves the former one whole."""

import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_STREAMS = (1, 2)


def write(files: Mapping[Path, bytes], *, mode: int = 0o666) -> None:
    """Put every content at its path, all of them or none; their folders are made. Raises OSError with the path.

    A file that is there keeps its mode and owner, a new one has `mode` less the umask. A symbolic link stays, and its
    target is replaced. What is no regular file (a pipe, `/dev/null`) and this process's own standard output are written
    to as they are.
    """
    with ExitStack() as stack:
        beside = []
        for path, content in files.items():
            with _named(path):
                if _is_stream(path):
                    _pass_on(path, content)
                else:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    beside.append((path, _written_beside(path, content, mode, stack)))
        for path, (unfinished, target) in beside:
            with _named(path):
                unfinished.replace(target)


def standard_output(content: bytes) -> None:
    """Write bytes to standard output as they are, whatever the terminal's encoding. Raises OSError."""
    with _named(Path("standard output")):
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


def _written_beside(path: Path, content: bytes, mode: int, stack: ExitStack) -> tuple[Path, Path]:
    """Write a file that is removed with the stack unless it was renamed; return it, and the place that it is for."""
    target = Path(os.path.realpath(path))
    there = _status(target)
    unfinished = target.with_name(f".holdtime-{secrets.token_hex(8)}.unfinished")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        stack.callback(unfinished.unlink, missing_ok=True)
        if there is not None:
            with suppress(PermissionError):  # the owner can only be kept by root, or where it is us
                os.fchown(file.fileno(), there.st_uid, there.st_gid)
            os.fchmod(file.fileno(), stat.S_IMODE(there.st_mode))
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return unfinished, target


def _is_stream(path: Path) -> bool:
    there = _status(path)
    if there is None:
        return False
    if stat.S_ISDIR(there.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return not stat.S_ISREG(there.st_mode) or _own_stream(there) is not None


def _own_stream(there: os.stat_result) -> int | None:
    """Return which of our own streams a file is: `--output /dev/stdout >>file` goes on where that file ends."""
    for number in _STREAMS:
        with suppress(OSError):
            if os.path.samestat(os.fstat(number), there):
                return number
    return None


def _pass_on(path: Path, content: bytes) -> None:
    number = _own_stream(path.stat())
    if number is None:
        with path.open("wb") as file:
            file.write(content)
        return
    stream = sys.stdout if number == 1 else sys.stderr
    stream.flush()
    stream.buffer.write(content)
    stream.buffer.flush()


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Say in an error which path it is about; an error of the write itself does not, and we name no other file."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from None
