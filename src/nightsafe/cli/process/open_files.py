"""Raises the limit of open files, because every connection takes one, and warns if the limit is low.

At the limit a server does not refuse a new connection: the client waits until another connection ends.
"""

import resource
from typing import Final

import structlog

from nightsafe.errors import Code, NightsafeError

_log = structlog.get_logger()

_TARGET: Final = 65_536
_LEAST: Final = 96
_FEW: Final = 1024
_SPARE: Final = 128
"""Descriptors reserved for the process's own files and threads; about 50 are in use."""
_SPARE_OF_FEW: Final = 64
_ADVICE: Final = "raise it: `ulimit -Hn`, LimitNOFILE= in a unit of systemd, or --ulimit of a container"


def raise_open_file_limit() -> None:
    """Raise the limit as far as the system permits. Log a warning if it is low.

    Raises:
        NightsafeError: INVALID, if it is too low to serve.
    """
    limit = require_open_files()
    if limit < _FEW:
        _log.warning("files.few", limit=limit, connections=max_connections(), reason=_ADVICE)


def require_open_files() -> int:
    """Raise the limit as far as the system permits. Return the limit.

    Raises:
        NightsafeError: INVALID, if it is too low to serve.
    """
    limit = _raise_limit()
    if limit < _LEAST:
        raise NightsafeError(
            Code.INVALID, f"the limit of open files is {limit}, and serving needs {_LEAST}; {_ADVICE}"
        )
    return limit


def max_connections() -> int:
    """Return how many connections may be open at once."""
    limit = _raise_limit()
    return max(limit - (_SPARE if limit >= 2 * _SPARE else _SPARE_OF_FEW), 1)


def _raise_limit() -> int:
    """Raise the limit as far as the system permits. Return the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = _TARGET if hard == resource.RLIM_INFINITY else min(hard, _TARGET)
    resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    return target
