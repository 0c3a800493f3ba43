"""Tracks the delivery processes that follow the log of an account, and lets writes wait until they have acted.

A process acknowledges with its next request: a request for the changes after an entry says that the process has acted
on everything up to that entry. The API process that receives the requests keeps this state in memory, and shares it
with the other API processes of the server, if there are any.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from nightsafe.errors import NightsafeError
from nightsafe.services.delivery.bundles import BundleChanges, Bundles, Cursor
from nightsafe.services.delivery.siblings import Follower, Message, ProcessId, Siblings, StateChanged, Written
from nightsafe.store.interface import Store

LONGEST_WAIT: Final = 25.0
"""The longest time that a request waits for changes, in seconds."""

_DISCONNECTED_SECONDS: Final = 30.0
_MAX_WRITE_WAIT_SECONDS: Final = 0.5
_MAX_FOLLOWERS: Final = 100
_MAX_LEFT: Final = 1000
"""The most disconnected processes that the other API processes are told about."""


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
        asked_at: the time of its last request.
        late: whether a write has timed out waiting for it since its last request.
        own: whether this API process received its last request.
    """

    def __init__(self) -> None:
        self.acted_on = 0
        self.last_request_at = 0.0
        self.asked_at = 0.0
        self.late = False
        self.own = False
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
        clock: a monotonic clock, in seconds, the same for all API processes.
        siblings: the other API processes of this server.
    """

    def __init__(
        self,
        store: Store,
        bundles: Bundles,
        clock: Callable[[], float] = time.monotonic,
        siblings: Siblings | None = None,
    ) -> None:
        self._store = store
        self._bundles = bundles
        self._clock = clock
        self._siblings = siblings or Siblings()
        self._siblings_version = 0
        self._subscribers: dict[str, dict[ProcessId, _Subscriber]] = {}
        self._waits: set[asyncio.Task[None]] = set()
        self._left: dict[tuple[str, ProcessId], Follower] = {}
        self._ended = False
        for follower in self._siblings.own.followers:
            self._apply(follower, own=True)
        self._siblings.on_message(self._hear)

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
        self._publish()
        deadline = self._clock() + min(seconds, LONGEST_WAIT)
        while True:
            generation = self._store.generation()
            changes = await self._bundles.changes(account_id, after)
            left = deadline - self._clock()
            if not changes.has_changes and (after is None or changes.cursor.number > after.number):
                subscriber.record_progress(changes.cursor.number)  # these entries need no action
                after = changes.cursor
                self._publish()
            if changes.has_changes or left <= 0 or self._ended:
                subscriber.last_request_at = self._clock()
                self._publish()
                return changes
            await self._changed(generation, left)

    def leave(self, account_id: str, process_id: ProcessId) -> None:
        """Remove a process that has disconnected, unless another API process has received a newer request of it."""
        subscriber = self._subscribers.get(account_id, {}).get(process_id)
        if subscriber is None or not subscriber.own:
            return
        self._remove(account_id, process_id)
        if self._siblings.exist:
            self._left[account_id, process_id] = _to_follower(account_id, process_id, subscriber, left=True)
            self._publish()

    def present(self, account_id: str) -> list[ConnectedProcess]:
        """Return the processes that sent a request within the last 30 seconds."""
        self._merge()
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
        if not all(subscriber.own for subscriber in waiters):
            self._siblings.tell(Written())
        await asyncio.wait(waiters.values(), timeout=_MAX_WRITE_WAIT_SECONDS)
        for subscriber, waiter in waiters.items():
            if not waiter.done():
                waiter.cancel()
                subscriber.late = True

    def end(self) -> None:
        """Answer all waiting requests, and let no later one wait: the server is about to stop."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        """Have every waiting request look for changes."""
        for wait in self._waits:
            wait.cancel()

    def _hear(self, message: Message, _: int | None) -> None:
        """Act on a message of another API process."""
        if isinstance(message, Written):
            self._wake()
        elif isinstance(message, StateChanged):
            self._merge()

    def _merge(self) -> None:
        """Take in what the other API processes know. Of one delivery process, the newest request counts."""
        version = self._siblings.refresh()
        if version == self._siblings_version:
            return
        self._siblings_version = version
        newest: dict[tuple[str, ProcessId], Follower] = {}
        for state in self._siblings.states:
            for follower in state.followers:
                key = (follower.account_id, follower.process_id)
                if key not in newest or newest[key].asked_at < follower.asked_at:
                    newest[key] = follower
        for follower in newest.values():
            self._apply(follower, own=False)

    def _apply(self, follower: Follower, *, own: bool) -> None:
        """Take in what an API process knows about a delivery process, unless this one knows something newer."""
        account_id, process_id = follower.account_id, follower.process_id
        left, known = self._left.get((account_id, process_id)), self._subscribers.get(account_id, {}).get(process_id)
        asked_at = max(left.asked_at if left else 0.0, known.asked_at if known and known.own else 0.0)
        if follower.asked_at <= asked_at:
            return
        if follower.left or follower.last_request_at < self._clock() - _DISCONNECTED_SECONDS:
            self._remove(account_id, process_id)
            return
        subscriber = known or self._subscribers.setdefault(account_id, {}).setdefault(process_id, _Subscriber())
        if subscriber.asked_at != follower.asked_at:
            subscriber.asked_at, subscriber.late = follower.asked_at, False
        subscriber.own, subscriber.last_request_at = own, follower.last_request_at
        subscriber.record_progress(follower.acted_on)

    def _publish(self) -> None:
        """Let the other API processes know what this one knows by itself."""
        if not self._siblings.exist:
            return
        before = self._clock() - _DISCONNECTED_SECONDS
        left = [follower for follower in self._left.values() if follower.asked_at >= before][-_MAX_LEFT:]
        self._left = {(follower.account_id, follower.process_id): follower for follower in left}
        self._siblings.own.followers = (
            *left,
            *(
                _to_follower(account_id, process_id, subscriber)
                for account_id, subscribers in self._subscribers.items()
                for process_id, subscriber in subscribers.items()
                if subscriber.own
            ),
        )
        self._siblings.publish()

    def _remove(self, account_id: str, process_id: ProcessId) -> None:
        """Remove a subscriber, if there is one, and release everyone who waits for it."""
        subscribers = self._subscribers.get(account_id, {})
        subscriber = subscribers.pop(process_id, None)
        if subscriber is not None:
            subscriber.leave()
        if not subscribers:
            self._subscribers.pop(account_id, None)

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
        self._merge()
        subscribers = self._subscribers.setdefault(account_id, {})
        if process_id not in subscribers and len(subscribers) >= _MAX_FOLLOWERS:
            own = [name for name, subscriber in subscribers.items() if subscriber.own]
            self.leave(account_id, min(own, key=lambda name: subscribers[name].last_request_at, default=process_id))
        subscriber = self._subscribers.setdefault(account_id, {}).setdefault(process_id, _Subscriber())
        subscriber.asked_at = subscriber.last_request_at = self._clock()
        subscriber.late, subscriber.own = False, True
        self._left.pop((account_id, process_id), None)
        return subscriber

    def _active_subscribers(self, account_id: str) -> list[_Subscriber]:
        """Return the processes to wait for, and remove those that have disconnected."""
        self._merge()
        if account_id not in self._subscribers:
            return []
        before = self._clock() - _DISCONNECTED_SECONDS
        for process_id, subscriber in list(self._subscribers[account_id].items()):
            if subscriber.last_request_at < before:
                self._remove(account_id, process_id)
        return [subscriber for subscriber in self._subscribers.get(account_id, {}).values() if not subscriber.late]


def _to_follower(account_id: str, process_id: ProcessId, subscriber: _Subscriber, *, left: bool = False) -> Follower:
    """Return what the other API processes need to know about a delivery process."""
    return Follower(
        account_id=account_id,
        process_id=process_id,
        asked_at=subscriber.asked_at,
        last_request_at=subscriber.last_request_at,
        acted_on=subscriber.acted_on,
        left=left,
    )
