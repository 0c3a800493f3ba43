"""The limit of open files, of which every connection takes one: raised as far as it may be, and told where it is low.

With too few of them a server is silent instead of refusing: who connects waits until somebody else is gone.
"""

import resource
from typing import Final

import structlog

from nightsafe.errors import Code, NightsafeError

_log = structlog.get_logger()

_MOST: Final = 65_536
_LEAST: Final = 96
_FEW: Final = 1024
_SPARE: Final = 128
"""What is left for files and threads of one's own; about 50 are in use."""
_SPARE_OF_FEW: Final = 64
_WAY_OUT: Final = "raise it: `ulimit -Hn`, LimitNOFILE= in a unit of systemd, or --ulimit of a container"


def allow_many() -> None:
    """Raise the limit to what the system lets this process have; a low one is logged.

    Raises:
        NightsafeError: INVALID, when that is too low to serve anybody.
    """
    limit = refuse_few()
    if limit < _FEW:
        _log.warning("files.few", limit=limit, connections=connections(), reason=_WAY_OUT)


def refuse_few() -> int:
    """Raise the limit to what the system lets this process have; gives that.

    Raises:
        NightsafeError: INVALID, when it is too low to serve anybody.
    """
    limit = _raised()
    if limit < _LEAST:
        raise NightsafeError(Code.INVALID, f"{limit} open files are allowed, and serving takes {_LEAST}; {_WAY_OUT}")
    return limit


def connections() -> int:
    """How many connections may be open at once."""
    limit = _raised()
    return max(limit - (_SPARE if limit >= 2 * _SPARE else _SPARE_OF_FEW), 1)


def _raised() -> int:
    """The limit, after raising it as far as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most
