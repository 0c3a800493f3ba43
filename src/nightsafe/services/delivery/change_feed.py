"""Delivery processes that follow the log of an account, and writes that wait until these have acted.

A process acknowledges by its next request: asking for what comes after an entry says that all up to it has been acted
on. What is kept of it is kept in memory, by the API process that it asks.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from nightsafe.errors import NightsafeError
from nightsafe.services.delivery.bundles import Bundles, Changes, Cursor
from nightsafe.store.interface import Store

LONGEST_WAIT: Final = 25.0
"""Seconds that a request may wait for changes."""

_FORGOTTEN_SECONDS: Final = 30.0
_HOLD_SECONDS: Final = 0.5
_MOST_FOLLOWERS: Final = 100


Who = tuple[str, str]
"""A delivery process: the id of its credential, and its own name for itself."""


class Present(Struct, frozen=True):
    """A process that is there: who it is, up to which entry it has acted, how many seconds ago it asked."""

    who: Who
    acted_on: int
    ago: float


class _Subscriber:
    """One delivery process.

    Attributes:
        acted_on: number of the log entry up to which it has acted.
        asked_at: when it asked last, or was last answered.
        late: whether a write has waited for it in vain since.
    """

    def __init__(self) -> None:
        self.acted_on = 0
        self.asked_at = 0.0
        self.late = False
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def acts(self, number: int) -> None:
        """It has acted on all up to an entry."""
        self.acted_on = number
        while self._waiting and self._waiting[0][0] <= number:
            waiter = self._waiting.popleft()[1]
            if not waiter.done():
                waiter.set_result(None)

    def until(self, number: int) -> asyncio.Future[None]:
        """What is done once it has acted on an entry; entries are asked for in their order."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((number, waiter))
        return waiter

    def leave(self) -> None:
        """Let go of all who wait for it: it is not there any more."""
        for _, waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)


class ChangeFeed:
    """Who follows, and how far each has come.

    Args:
        store: where the log is.
        bundles: tells what has changed.
        clock: seconds that only grow.
    """

    def __init__(self, store: Store, bundles: Bundles, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._bundles = bundles
        self._clock = clock
        self._subscribers: dict[str, dict[Who, _Subscriber]] = {}
        self._waits: set[asyncio.Task[None]] = set()
        self._ended = False

    async def follow(self, account_id: str, who: Who, after: Cursor | None, seconds: float) -> Changes:
        """What has changed since a cursor, once anything has, or after some seconds.

        Args:
            account_id: whose log.
            who: id of the credential and the process's own name for itself.
            after: how far it has acted; None for a process that has just begun.
            seconds: how long to wait at the most.
        """
        subscriber = self._seen(account_id, who)
        subscriber.acts(after.number if after else 0)
        deadline = self._clock() + min(seconds, LONGEST_WAIT)
        while True:
            generation = self._store.generation()
            changes = await self._bundles.changes(account_id, after)
            left = deadline - self._clock()
            if not changes.is_news and (after is None or changes.cursor.number > after.number):
                subscriber.acts(changes.cursor.number)  # there is nothing to act on
                after = changes.cursor
            if changes.is_news or left <= 0 or self._ended:
                subscriber.asked_at = self._clock()
                return changes
            await self._changed(generation, left)

    def leave(self, account_id: str, who: Who) -> None:
        """A process has hung up."""
        subscribers = self._subscribers.get(account_id, {})
        subscriber = subscribers.pop(who, None)
        if subscriber is not None:
            subscriber.leave()
        if not subscribers:
            self._subscribers.pop(account_id, None)

    def present(self, account_id: str) -> list[Present]:
        """The processes that have asked within the last half minute."""
        now = self._clock()
        return [
            Present(who, one.acted_on, now - one.asked_at)
            for who, one in self._subscribers.get(account_id, {}).items()
            if now - one.asked_at <= _FORGOTTEN_SECONDS
        ]

    def is_followed(self, account_id: str) -> bool:
        """Whether a process delivers what is written to an account, late or not."""
        return bool(self.present(account_id))

    async def acted_on(self, account_id: str) -> None:
        """Return once every process that is there has acted on all that is in the log, or after half a second.

        One that takes longer is not waited for again until it asks again.
        """
        subscribers = self._present(account_id)
        if not subscribers:
            return
        try:
            number = (await self._store.audit_head(account_id)).number
        except NightsafeError:
            return  # what was written is durable, and its answer must say so
        waiters = {one: one.until(number) for one in subscribers if one.acted_on < number}
        if not waiters:
            return
        await asyncio.wait(waiters.values(), timeout=_HOLD_SECONDS)
        for one, waiter in waiters.items():
            if not waiter.done():
                waiter.cancel()
                one.late = True

    def end(self) -> None:
        """Answer all who wait, and let nobody wait from now on: the server is about to stop."""
        self._ended = True
        for wait in self._waits:
            wait.cancel()

    async def _changed(self, generation: object, seconds: float) -> None:
        """Wait for a commit, or for the end."""
        wait = asyncio.ensure_future(self._store.changed(generation, seconds))
        self._waits.add(wait)
        try:
            await asyncio.wait({wait})
        finally:
            wait.cancel()
            self._waits.discard(wait)
        if not wait.cancelled():
            wait.result()

    def _seen(self, account_id: str, who: Who) -> _Subscriber:
        """The process that asks, which is there from now on."""
        subscribers = self._subscribers.setdefault(account_id, {})
        if who not in subscribers and len(subscribers) >= _MOST_FOLLOWERS:
            self.leave(account_id, min(subscribers, key=lambda one: subscribers[one].asked_at))
        subscriber = self._subscribers.setdefault(account_id, {}).setdefault(who, _Subscriber())
        subscriber.asked_at, subscriber.late = self._clock(), False
        return subscriber

    def _present(self, account_id: str) -> list[_Subscriber]:
        """The processes to wait for."""
        if account_id not in self._subscribers:
            return []
        before = self._clock() - _FORGOTTEN_SECONDS
        for who, one in list(self._subscribers[account_id].items()):
            if one.asked_at < before:
                self.leave(account_id, who)
        return [one for one in self._subscribers.get(account_id, {}).values() if not one.late]
