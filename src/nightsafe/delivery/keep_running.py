"""Restarts background tasks after errors, so that they run as long as the process."""

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

_log = structlog.get_logger()

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
_WELL_SECONDS: Final = 30.0
"""After a task has run for this long, its next failure is again followed by the shortest pause."""


async def keep_running(
    name: str,
    work: Callable[[], Awaitable[None]],
    *,
    fatal: tuple[type[Exception], ...] = (),
) -> None:
    """Run an endless task, and restart it after each error; the log records the error.

    Args:
        name: the task's name in the log.
        work: the task. It must be able to continue from any point where an error stopped it. When it returns,
            `keep_running` returns too.
        fatal: errors that should end the task.

    Raises:
        Exception: an error of `fatal`.
    """
    pause, wait = _FIRST_PAUSE, 0.0
    while True:
        began = time.monotonic()
        try:
            if wait:
                await asyncio.sleep(wait)
            await work()
        except fatal:
            raise
        except asyncio.CancelledError as error:
            if _is_being_cancelled():
                raise
            _log_failure(name, error)
        except Exception as error:  # noqa: BLE001 - the process needs this task after any error
            _log_failure(name, error)
        else:
            return
        pause = _FIRST_PAUSE if time.monotonic() - began > _WELL_SECONDS else pause
        wait, pause = pause, min(pause * 2, _LONGEST_PAUSE)


def _is_being_cancelled() -> bool:
    """Return whether this task itself is being cancelled, and not only a task that it waited for."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _log_failure(name: str, error: BaseException) -> None:
    """Log the type of an error and its traceback's lines, but not its message, which may hold anything."""
    lines = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    _log.error("task.failed", task=name, error=type(error).__name__, lines=lines)
