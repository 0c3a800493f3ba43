"""Messages for errors of the operating system: the file, the reason and the solution."""

import errno
import os
from typing import Final

_ADVICE_ON_RIGHTS: Final = "run this as the file's owner, or in a directory that this user may use"
_ADVICE: Final = {
    errno.EACCES: _ADVICE_ON_RIGHTS,
    errno.EPERM: _ADVICE_ON_RIGHTS,
    errno.EROFS: "this file system is read-only: name another place",
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space, or raise this user's quota",
    errno.ENOTDIR: "a part of the path is a file",
    errno.ELOOP: "its symbolic links form a loop",
    errno.ENAMETOOLONG: "name a shorter path",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "the system has too many files open",
    errno.EIO: "the disk has failed: see the kernel's log",
}


def describe_os_error(error: OSError) -> str:
    """Return a one-line message about an error."""
    if error.filename is None and _working_directory_is_gone():
        return "the working directory no longer exists; change to one that exists"
    reason = error.strerror or str(error) or type(error).__name__
    advice = _ADVICE.get(error.errno or 0)
    message = f"{_printable(error.filename)} cannot be used: {reason}" if error.filename is not None else reason
    return f"{message}; {advice}" if advice else message


def _working_directory_is_gone() -> bool:
    """Return whether the working directory was removed."""
    try:
        os.getcwd()  # noqa: PTH109 - only the success of the call matters
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _printable(name: str | bytes | int) -> str:
    """Return a file's name with control characters escaped."""
    path = str(name) if isinstance(name, int) else os.fsdecode(name)
    return path if path.isprintable() else ascii(path)[1:-1]
