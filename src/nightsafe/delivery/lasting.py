"""Tasks that last as long as the process: whatever ends one of them, it begins anew."""

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
"""A task that has run for so long before it failed is begun anew without much of a pause."""


async def lasting(
    name: str,
    work: Callable[[], Awaitable[None]],
    *,
    by_design: tuple[type[Exception], ...] = (),
) -> None:
    """Run something that has no end, and begin it anew when an error ends it all the same; the log says which.

    Args:
        name: what the log calls it.
        work: what to run. It must be able to go on from wherever it was left. When it returns, this does.
        by_design: errors that are to end it.

    Raises:
        Exception: one of those that are to end it.
    """
    pause, wait = _FIRST_PAUSE, 0.0
    while True:
        began = time.monotonic()
        try:
            if wait:
                await asyncio.sleep(wait)
            await work()
        except by_design:
            raise
        except asyncio.CancelledError as error:
            if _is_told_to_end():
                raise
            _say(name, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the process needs this task
            _say(name, error)
        else:
            return
        pause = _FIRST_PAUSE if time.monotonic() - began > _WELL_SECONDS else pause
        wait, pause = pause, min(pause * 2, _LONGEST_PAUSE)


def _is_told_to_end() -> bool:
    """Whether somebody cancels this task, and not only what it waited for."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _say(name: str, error: BaseException) -> None:
    """The kind of error and the lines it came through: its words may hold anything."""
    lines = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    _log.error("task.failed", task=name, error=type(error).__name__, lines=lines)
