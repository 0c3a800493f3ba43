"""Loaded by every interpreter that has this folder in its path: limits how many threads it may have at once."""

import os
import threading
from typing import Any, Final

_MOST: Final = int(os.environ["MOST_THREADS"])
_start: Final = threading._start_new_thread  # type: ignore[attr-defined] # every thread is started by it


def _start_one(*arguments: Any) -> Any:
    """Start a thread, or refuse to as the system does."""
    if threading.active_count() > _MOST:
        raise RuntimeError("can't start new thread")
    return _start(*arguments)


threading._start_new_thread = _start_one  # type: ignore[attr-defined] # as above
