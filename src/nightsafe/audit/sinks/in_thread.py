"""Runs a blocking call in a thread that does not keep the process from ending."""

import asyncio
import errno
import threading
from collections.abc import Callable
from contextlib import suppress


async def in_daemon_thread(call: Callable[[], None]) -> None:
    """Run a call in a new thread, and wait for its end. Python does not wait for such a thread when it exits.

    Raises:
        BlockingIOError: if the system allows no further thread.
        Exception: the call's error.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def finish(error: Exception | None) -> None:
        """On the loop, end the wait, unless it was cancelled."""
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def run() -> None:
        """In the thread, run the call and report its end."""
        error: Exception | None = None
        try:
            call()
        except Exception as failure:  # noqa: BLE001 - passed to the task that waits
            error = failure
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(finish, error)

    thread = threading.Thread(target=run, name="nightsafe-audit-sink", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        raise BlockingIOError(errno.EAGAIN, "no thread can be started") from None
    await done
