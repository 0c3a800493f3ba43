"""What a node knows of commits: its own at once, those of other nodes by notifications and by looking.

A notification is only a hint, and may be lost. While somebody waits, the node looks at the log's size, too.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from nightsafe.errors import NightsafeError
from nightsafe.store.postgres.engine.connection import SIZE
from nightsafe.store.postgres.engine.failures import FAILURES
from nightsafe.store.postgres.engine.group_commit import CHANNEL

if TYPE_CHECKING:
    from asyncpg import Connection

_ANNOUNCEMENTS: Final = "nightsafe_nodes"
"""The channel on which nodes tell each other what is in no table."""

_LOOK_SECONDS: Final = 0.2
"""Seconds between two looks at the log's size, while a task waits."""

_CALM_SECONDS: Final = 2.0
"""The same while no task waits, to notice that the connection is lost."""

_ANSWER_SECONDS: Final = 3.0
_ANNOUNCE: Final = "SELECT pg_notify($1, text) FROM unnest($2::text[]) AS texts(text)"


class CommitFeed:
    """The size of the log, as far as this node knows, and the tasks that wait for the next commit.

    It has the connection that is notified, so the announcements of other nodes arrive here, too.

    Args:
        connect: opens the connection that is notified.
        lost: called when this connection fails, because its server may have been replaced.
        notifies: whether the database can notify other nodes.
    """

    def __init__(
        self, connect: "Callable[[], Awaitable[Connection]]", lost: Callable[[], None], *, notifies: bool
    ) -> None:
        self._connect = connect
        self._lost = lost
        self._notifies = notifies
        self._loop = asyncio.get_running_loop()
        self.size = -1
        self._commit = asyncio.Event()
        self._waiting = 0
        self._task: asyncio.Task[None] | None = None
        self._db: Connection | None = None
        self._turn = asyncio.Lock()
        self._wake = asyncio.Event()
        self._looked_at = 0.0
        self._take: Callable[[str], None] | None = None
        self._resumed: Callable[[], None] = lambda: None

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
        self._start()
        if self._loop.time() - self._looked_at > _LOOK_SECONDS:
            self._wake.set()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._commit.wait()
        finally:
            self._waiting -= 1

    def on_announcement(self, take: Callable[[str], None], resumed: Callable[[], None]) -> None:
        """See `Announcements.on_announcement`. The connection stays open from now on."""
        if self._notifies:
            self._take, self._resumed = take, resumed
            self._start()

    async def announce(self, texts: Sequence[str]) -> None:
        """See `Announcements.announce`."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS), self._turn:
                if self._db is not None:
                    await self._db.execute(_ANNOUNCE, _ANNOUNCEMENTS, texts)
        except FAILURES:
            self._drop()
            self._lost()
            self._wake.set()

    async def close(self) -> None:
        """Wake the waiting tasks, and stop looking."""
        self._commit.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _start(self) -> None:
        """Start to look, if that is not done already."""
        if self._task is None:
            self._task = self._loop.create_task(self._follow())

    async def _follow(self) -> None:
        """Look at the log's size while tasks wait, and listen to notifications."""
        try:
            idle = 0
            while self._take is not None or self._waiting or idle < 1 / _LOOK_SECONDS:
                idle = 0 if self._waiting else idle + 1
                self._wake.clear()
                await self._look()
                is_calm = self._take is not None and not self._waiting and self._db is not None
                with suppress(TimeoutError):
                    async with asyncio.timeout(_CALM_SECONDS if is_calm else _LOOK_SECONDS):
                        await self._wake.wait()
        finally:
            self._task = None
            self._drop()

    async def _look(self) -> None:
        """Look at the log's size. After a failure, the next look opens another connection."""
        self._looked_at = self._loop.time()
        try:
            async with asyncio.timeout(_ANSWER_SECONDS), self._turn:
                db = self._db or await self._open()
                self.seen(await db.fetchval(SIZE))
        except (*FAILURES, NightsafeError):
            self._drop()
            self._lost()

    async def _open(self) -> "Connection":
        """Open a connection that is notified."""
        self._db = db = await self._connect()
        db.add_termination_listener(self._terminated)
        if self._notifies:
            with suppress(NightsafeError):
                await db.add_listener(CHANNEL, self._notified)
        if self._take is not None:
            await db.add_listener(_ANNOUNCEMENTS, self._announced)
            self._loop.call_soon(self._resumed)
        return db

    def _drop(self) -> None:
        """Give the connection up."""
        db, self._db = self._db, None
        if db is not None:
            db.terminate()

    def _terminated(self, db: "Connection") -> None:
        """Open another connection at once after the end of one that was not given up."""
        if db is self._db:
            self._db = None
            self._lost()
            self._wake.set()

    def _notified(self, *notification: Any) -> None:
        """Take a notification: the connection, a process, the channel, and the size."""
        with suppress(ValueError):
            self.seen(int(notification[-1]))

    def _announced(self, *notification: Any) -> None:
        """Take an announcement, which comes like a notification."""
        if self._take is not None:
            self._take(notification[-1])
