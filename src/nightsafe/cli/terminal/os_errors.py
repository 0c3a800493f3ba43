"""What a person is told when the system refuses something about a file: which one, why, and what to do."""

import errno
import os
from typing import Final

_RIGHTS: Final = "run this as the user whose it is, or in a directory that this user may use"
_ADVICE: Final = {
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: "nothing can be written on this file system: name another place",
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room, or have more given to this user",
    errno.ENOTDIR: "a part of the path is a file",
    errno.ELOOP: "its symbolic links lead in a circle",
    errno.ENAMETOOLONG: "name a shorter path",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "the system has too many files open",
    errno.EIO: "the disk has failed: see the kernel's log",
}


def sentence(error: OSError) -> str:
    """One line about a file that cannot be used."""
    if error.filename is None and _is_lost():
        return "the working directory is not there any more; change to one that is"
    words = error.strerror or str(error) or type(error).__name__
    advice = _ADVICE.get(error.errno or 0)
    what = f"{_printable(error.filename)} cannot be used: {words}" if error.filename is not None else words
    return f"{what}; {advice}" if advice else what


def _is_lost() -> bool:
    """Whether the working directory was removed."""
    try:
        os.getcwd()  # noqa: PTH109 - it only matters whether it can be told
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _printable(name: str | bytes | int) -> str:
    """A file's name without what a terminal would act on."""
    shown = str(name) if isinstance(name, int) else os.fsdecode(name)
    return shown if shown.isprintable() else ascii(shown)[1:-1]
