"""Exchanging two directories in one step, by renameat2(2): at every moment each name leads to one of them.

Two renames would leave a moment in which one name leads nowhere, and Python offers no call that does it in one. So
the function of the C library is called, where there is one.
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
"""What is answered where the file system or the kernel cannot, the two lie apart, one is a mount, or is not ours."""


class CannotExchangeError(Exception):
    """These two directories cannot be exchanged in one step; nothing has changed."""


def exchange(one: Path, other: Path) -> None:
    """Let each of two names lead to what the other has led to.

    Raises:
        CannotExchangeError: when this cannot be done here at all.
        OSError: when it fails for another reason; nothing has changed then.
    """
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        raise CannotExchangeError from None
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), ctypes.c_uint(_RENAME_EXCHANGE)) == 0:
        return
    number = ctypes.get_errno()
    if number in _LACKING:
        raise CannotExchangeError
    raise OSError(number, os.strerror(number), str(other))
