"""Read by every interpreter that has this folder in its path: it may have only so many threads at once."""

import os
import threading
from typing import Any, Final

_MOST: Final = int(os.environ["MOST_THREADS"])
_start: Final = threading._start_new_thread  # type: ignore[attr-defined] # what every thread is started with


def _start_one(*arguments: Any) -> Any:
    """As the system does."""
    if threading.active_count() > _MOST:
        raise RuntimeError("can't start new thread")
    return _start(*arguments)


threading._start_new_thread = _start_one  # type: ignore[attr-defined] # the same
