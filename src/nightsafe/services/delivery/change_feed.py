"""Tracks the delivery processes that follow the log of an account, and lets writes wait until they have acted.

A process acknowledges with its next request: a request for the changes after an entry says that the process has acted
on everything up to that entry. The API process that receives the requests keeps this state in memory.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from nightsafe.errors import NightsafeError
from nightsafe.services.delivery.bundles import BundleChanges, Bundles, Cursor
from nightsafe.store.interface import Store

LONGEST_WAIT: Final = 25.0
"""The longest time that a request waits for changes, in seconds."""

_DISCONNECTED_SECONDS: Final = 30.0
_MAX_WRITE_WAIT_SECONDS: Final = 0.5
_MAX_FOLLOWERS: Final = 100


ProcessId = tuple[str, str]
"""Identifies a delivery process: the ID of its credential, and the name that it gives itself."""


class ConnectedProcess(Struct, frozen=True):
    """A connected process: its identity, the entry up to which it has acted, and seconds since its last request."""

    process_id: ProcessId
    acted_on: int
    seconds_since_request: float


class _Subscriber:
    """One delivery process.

    Attributes:
        acted_on: number of the log entry up to which it has acted.
        last_request_at: time of its last request, or of the last answer to it.
        late: whether a write has timed out waiting for it since its last request.
    """

    def __init__(self) -> None:
        self.acted_on = 0
        self.last_request_at = 0.0
        self.late = False
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def record_progress(self, number: int) -> None:
        """Record that it has acted on everything up to an entry."""
        self.acted_on = number
        while self._waiting and self._waiting[0][0] <= number:
            waiter = self._waiting.popleft()[1]
            if not waiter.done():
                waiter.set_result(None)

    def acted_on_future(self, number: int) -> asyncio.Future[None]:
        """Return a future for the moment it has acted on an entry; call this with entries in order."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((number, waiter))
        return waiter

    def leave(self) -> None:
        """Release everyone who waits for it, because it has disconnected."""
        for _, waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)


class ChangeFeed:
    """The delivery processes that follow each account, and how far each has acted.

    Args:
        store: holds the log.
        bundles: computes the changes.
        clock: a monotonic clock, in seconds.
    """

    def __init__(self, store: Store, bundles: Bundles, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._bundles = bundles
        self._clock = clock
        self._subscribers: dict[str, dict[ProcessId, _Subscriber]] = {}
        self._waits: set[asyncio.Task[None]] = set()
        self._ended = False

    async def follow(
        self, account_id: str, process_id: ProcessId, after: Cursor | None, seconds: float
    ) -> BundleChanges:
        """Wait for changes since a cursor, for at most some seconds, and return them.

        Args:
            account_id: the account whose log to follow.
            process_id: the process: the ID of its credential, and the name that it gives itself.
            after: the entry up to which it has acted; None for a process that has just started.
            seconds: the longest time to wait.
        """
        subscriber = self._register(account_id, process_id)
        subscriber.record_progress(after.number if after else 0)
        deadline = self._clock() + min(seconds, LONGEST_WAIT)
        while True:
            generation = self._store.generation()
            changes = await self._bundles.changes(account_id, after)
            left = deadline - self._clock()
            if not changes.has_changes and (after is None or changes.cursor.number > after.number):
                subscriber.record_progress(changes.cursor.number)  # these entries need no action
                after = changes.cursor
            if changes.has_changes or left <= 0 or self._ended:
                subscriber.last_request_at = self._clock()
                return changes
            await self._changed(generation, left)

    def leave(self, account_id: str, process_id: ProcessId) -> None:
        """Remove a process that has disconnected."""
        subscribers = self._subscribers.get(account_id, {})
        subscriber = subscribers.pop(process_id, None)
        if subscriber is not None:
            subscriber.leave()
        if not subscribers:
            self._subscribers.pop(account_id, None)

    def present(self, account_id: str) -> list[ConnectedProcess]:
        """Return the processes that sent a request within the last 30 seconds."""
        now = self._clock()
        return [
            ConnectedProcess(process_id, subscriber.acted_on, now - subscriber.last_request_at)
            for process_id, subscriber in self._subscribers.get(account_id, {}).items()
            if now - subscriber.last_request_at <= _DISCONNECTED_SECONDS
        ]

    def is_followed(self, account_id: str) -> bool:
        """Return whether any process delivers an account's scripts, late or not."""
        return bool(self.present(account_id))

    async def acted_on(self, account_id: str) -> None:
        """Wait until every connected delivery process has acted on the latest log entry, for at most 0.5 s.

        A process that takes longer is not waited for again until its next request.
        """
        subscribers = self._active_subscribers(account_id)
        if not subscribers:
            return
        try:
            number = (await self._store.audit_head(account_id)).number
        except NightsafeError:
            return  # the write is durable, so its answer must report success
        waiters = {
            subscriber: subscriber.acted_on_future(number)
            for subscriber in subscribers
            if subscriber.acted_on < number
        }
        if not waiters:
            return
        await asyncio.wait(waiters.values(), timeout=_MAX_WRITE_WAIT_SECONDS)
        for subscriber, waiter in waiters.items():
            if not waiter.done():
                waiter.cancel()
                subscriber.late = True

    def end(self) -> None:
        """Answer all waiting requests, and let no later one wait: the server is about to stop."""
        self._ended = True
        for wait in self._waits:
            wait.cancel()

    async def _changed(self, generation: object, seconds: float) -> None:
        """Wait for a commit, or for `end`."""
        wait = asyncio.ensure_future(self._store.changed(generation, seconds))
        self._waits.add(wait)
        try:
            await asyncio.wait({wait})
        finally:
            wait.cancel()
            self._waits.discard(wait)
        if not wait.cancelled():
            wait.result()

    def _register(self, account_id: str, process_id: ProcessId) -> _Subscriber:
        """Return the subscriber of a process that sends a request; register it if it is new."""
        subscribers = self._subscribers.setdefault(account_id, {})
        if process_id not in subscribers and len(subscribers) >= _MAX_FOLLOWERS:
            self.leave(account_id, min(subscribers, key=lambda name: subscribers[name].last_request_at))
        subscriber = self._subscribers.setdefault(account_id, {}).setdefault(process_id, _Subscriber())
        subscriber.last_request_at, subscriber.late = self._clock(), False
        return subscriber

    def _active_subscribers(self, account_id: str) -> list[_Subscriber]:
        """Return the processes to wait for, and remove those that have disconnected."""
        if account_id not in self._subscribers:
            return []
        before = self._clock() - _DISCONNECTED_SECONDS
        for process_id, subscriber in list(self._subscribers[account_id].items()):
            if subscriber.last_request_at < before:
                self.leave(account_id, process_id)
        return [subscriber for subscriber in self._subscribers.get(account_id, {}).values() if not subscriber.late]
