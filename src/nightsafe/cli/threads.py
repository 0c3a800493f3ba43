"""A limit of threads, met at the start and in words: the server's library ends its process over it, with none."""

import threading
from contextlib import suppress
from typing import Final

from nightsafe.errors import Code, NightsafeError

_NEEDED: Final = 8
"""Threads of `serve` beside the main one: two for output, three of the store, the rest of the server's library."""


def need_threads() -> None:
    """Start as many threads as serving takes, and let them end.

    Raises:
        NightsafeError: STORE, when the system does not allow so many.
    """
    enough, started = threading.Event(), list[threading.Thread]()
    try:
        for _ in range(_NEEDED):
            thread = threading.Thread(target=enough.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:
        from nightsafe.store.sqlite.store import NO_THREAD  # noqa: PLC0415 - only for the refusal

        raise NightsafeError(Code.STORE, NO_THREAD) from None
    finally:
        enough.set()
        for thread in started:
            with suppress(RuntimeError):
                thread.join()
