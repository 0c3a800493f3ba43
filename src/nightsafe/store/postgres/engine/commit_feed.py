"""What a node knows of commits: its own at once, those of other nodes by notifications and by looking.

A notification is only a hint, and may be lost. While somebody waits, the node looks at the log's size, too.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from nightsafe.errors import NightsafeError
from nightsafe.store.postgres.engine.failures import FAILURES
from nightsafe.store.postgres.engine.group_commit import CHANNEL

if TYPE_CHECKING:
    from asyncpg import Connection

_LOOK_SECONDS: Final = 0.2
"""Seconds between two looks at the log's size, while a task waits."""

_SIZE: Final = "SELECT size FROM log_head"


class CommitFeed:
    """The size of the log, as far as this node knows, and the tasks that wait for the next commit.

    Args:
        connect: opens the connection that is notified.
        notifies: whether the database can notify other nodes.
    """

    def __init__(self, connect: "Callable[[], Awaitable[Connection]]", *, notifies: bool) -> None:
        self._connect = connect
        self._notifies = notifies
        self._loop = asyncio.get_running_loop()
        self.size = -1
        self._commit = asyncio.Event()
        self._waiting = 0
        self._task: asyncio.Task[None] | None = None

    def seen(self, size: int) -> None:
        """Take a size of the log, and wake the waiting tasks if it is a greater one."""
        if size > self.size:
            self.size = size
            self._commit.set()
            self._commit = asyncio.Event()

    async def wait(self, size: int, seconds: float) -> None:
        """Wait until the log has another size than the given one, for at most `seconds`."""
        if size != self.size:
            return
        self._waiting += 1
        if self._task is None:
            self._task = self._loop.create_task(self._follow())
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._commit.wait()
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Wake the waiting tasks, and stop looking."""
        self._commit.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self) -> None:
        """Look at the log's size while tasks wait, and listen to notifications."""
        db = None
        try:
            idle = 0
            while self._waiting or idle < 1 / _LOOK_SECONDS:
                idle = 0 if self._waiting else idle + 1
                try:
                    async with asyncio.timeout(3):
                        if db is None or db.is_closed():
                            db = await self._open()
                        self.seen(await db.fetchval(_SIZE))
                except (*FAILURES, NightsafeError):  # the next look opens another connection
                    if db is not None:
                        db.terminate()
                    db = None
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            self._task = None
            if db is not None:
                db.terminate()

    async def _open(self) -> "Connection":
        """Open a connection that is notified."""
        db = await self._connect()
        if self._notifies:
            with suppress(NightsafeError):
                await db.add_listener(CHANNEL, self._notified)
        return db

    def _notified(self, *notification: Any) -> None:
        """Take a notification: the connection, a process, the channel, and the size."""
        with suppress(ValueError):
            self.seen(int(notification[-1]))
