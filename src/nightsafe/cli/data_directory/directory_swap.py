"""Exchanges two directories atomically, by renameat2(2): both names exist at every moment.

With two renames, one name would not exist for a moment. Python has no call for an exchange, so this module calls the
C library's function, if there is one.
"""

import ctypes
import errno
import os
from pathlib import Path
from typing import Final

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 1 << 1
_LACKING: Final = frozenset(
    {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV, errno.EBUSY, errno.EACCES, errno.EPERM}
)
"""Errors of a kernel or file system without exchange, of two file systems, of a mount point, or of missing rights."""


class CannotSwapError(Exception):
    """Two directories cannot be exchanged atomically; nothing has changed."""


def swap_directories(one: Path, other: Path) -> None:
    """Exchange two directories.

    Raises:
        CannotSwapError: if this is impossible here.
        OSError: if it fails for another reason; nothing has changed then.
    """
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        raise CannotSwapError from None
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), ctypes.c_uint(_RENAME_EXCHANGE)) == 0:
        return
    number = ctypes.get_errno()
    if number in _LACKING:
        raise CannotSwapError
    raise OSError(number, os.strerror(number), str(other))
