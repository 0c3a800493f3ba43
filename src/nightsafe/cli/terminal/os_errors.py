"""Messages for errors of the operating system: the file, the reason and the solution."""

import errno
import os
from typing import Final

_RIGHTS: Final = "run this as the file's owner, or in a directory that this user may use"
_ADVICE: Final = {
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
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


def sentence(error: OSError) -> str:
    """Return a one-line message about an error."""
    if error.filename is None and _is_lost():
        return "the working directory no longer exists; change to one that exists"
    words = error.strerror or str(error) or type(error).__name__
    advice = _ADVICE.get(error.errno or 0)
    what = f"{_printable(error.filename)} cannot be used: {words}" if error.filename is not None else words
    return f"{what}; {advice}" if advice else what


def _is_lost() -> bool:
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
    shown = str(name) if isinstance(name, int) else os.fsdecode(name)
    return shown if shown.isprintable() else ascii(shown)[1:-1]
