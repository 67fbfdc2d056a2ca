"""An error of the operating system as one line: the path, the reason, and the remedy."""

import errno
import grp
import os
import pwd
import stat
from pathlib import Path

_REMEDIES = {
    errno.ENOENT: "look at the spelling, or make its folder first",
    errno.ENOTDIR: "a part of the path is a file, and was expected to be a folder: name another path",
    errno.EISDIR: "it is a folder: name a file",
    errno.EEXIST: "remove it, or name another path",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "its symbolic links lead back to themselves: name another path",
    errno.EINVAL: "the file system does not take it: name another path",
    errno.EROFS: "the file system is mounted read-only: name a path on another one",
    errno.ENOSPC: "make room on that disk, or name a path on another one",
    errno.EDQUOT: "make room within the quota, or name a path elsewhere",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), or name a path on another file system",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENFILE: "the whole machine has too many files open: close some",
    errno.ENOMEM: "free some memory",
    errno.EBUSY: "something else uses it: name another path",
    errno.EIO: "the disk may be failing: look at the kernel's log",
    errno.EBADF: "it is closed, or cannot be used in that direction: open it, or name a file",
}
_DENIED = (errno.EACCES, errno.EPERM)


def line(error: OSError) -> str:
    """Return what the error says, with the path where it names one."""
    path = _path(error)
    return reason(error) if path is None else f"{path}: {reason(error)}"


def reason(error: OSError) -> str:
    """Return what the error says without its path, with whose the file is where that is the reason."""
    if error.errno is None or error.strerror is None:
        return str(error)  # ours, and whole already
    path = _path(error)
    if path is None and error.errno == errno.ENOENT:
        return "the working folder was removed: change into one that is there"
    remedy = denied(path) if path is not None and error.errno in _DENIED else _REMEDIES.get(error.errno, "")
    return f"{error.strerror}: {remedy}" if remedy else error.strerror


def denied(path: Path) -> str:
    """Return whose file keeps us from a path, and what to do: the path itself, or the nearest folder above it."""
    for each in (path, *path.parents, Path("/")):
        try:
            found = each.stat()
        except OSError:
            continue
        mode = stat.S_IMODE(found.st_mode)
        return (
            f"{each} belongs to {_user(found.st_uid)}, group {_group(found.st_gid)}, mode {mode:04o}, "
            f"and this process runs as {_user(os.geteuid())}: run it as the owner, or change owner or mode"
        )
    return "run it as a user who may"


def _path(error: OSError) -> Path | None:
    place = error.filename2 if error.filename2 is not None else error.filename
    if error.strerror is None or not isinstance(place, str | bytes | os.PathLike):
        return None
    return Path(os.fsdecode(place))


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
