"""Answers a write whose outcome is unknown, and the same request sent again as the first one turned out.

When no primary tells whether a write is kept, the client gets a 503. Its request goes on: it waits until that is
known, and then makes its answer, which is kept for a while. Clients send the same request again after a 503. Made
again, it would make a second version, or a second token. So it gets the answer of the first, if that was kept. It
gets it once, and only if nothing was written meanwhile about the same script, collection or token: otherwise it may
be a new request that only looks the same, and it is made.

Requests are the same if their caller, method, path, query, content type and body are. The memory of a process has
digests of them under a random key, never a body.
"""

import asyncio
import hashlib
import secrets
from asyncio import Future
from collections.abc import Awaitable, Callable
from typing import Any, Final

from msgspec.structs import replace

from nightsafe.api.body_digest import BodyDigest, first_parts, replayed
from nightsafe.api.http.envelope import Reply, failure
from nightsafe.api.http.request import Call
from nightsafe.api.http.streaming import Send, send_reply
from nightsafe.errors import AGAIN, Code, NightsafeError
from nightsafe.store.changes import Outcome, OutcomeUnknownError, commit_watcher

_KEPT_SECONDS: Final = 120.0
"""An answer is kept for so long. Official clients send a request again within seconds."""

_WAIT_SECONDS: Final = 10.0
"""A repeated request waits so long for the outcome of the first."""

_MOST_SECONDS: Final = 600.0
"""A request that was answered goes on for so long at most."""

_MOST_WRITES: Final = 1000
_BOUNDARY: Final = b"boundary="

Handle = Callable[[Call], Awaitable[Reply]]
Key = tuple[object, bytes]
"""What makes requests the same: everything but the body, and the digest of the body."""


class UnsettledWrites:
    """The writes of this process that were answered before their outcome was known."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._writes: dict[Key, Write] = {}

    def new_hash(self) -> "hashlib.blake2b":
        """Return an empty hash under the key of this process."""
        return hashlib.blake2b(key=self._key, digest_size=32)

    def has_like(self, call: Call) -> bool:
        """Return whether a request is known that is the same but for the body."""
        if not self._writes:
            return False
        head = _head_of(call)
        return any(head == other for other, _ in self._writes)

    def get(self, key: Key) -> "Write | None":
        """Return the write of the same request."""
        return self._writes.get(key)

    def keep(self, key: Key, write: "Write") -> None:
        """Remember a write, instead of the oldest if there are too many."""
        self._writes.pop(key, None)
        if len(self._writes) == _MOST_WRITES:
            del self._writes[next(iter(self._writes))]
        self._writes[key] = write

    def forget(self, key: Key, write: "Write") -> None:
        """Forget a write."""
        if self._writes.get(key) is write:
            del self._writes[key]

    def end(self) -> None:
        """End the waits for outcomes, because the server is about to stop."""
        for write in self._writes.values():
            write.give_up()


class Write:
    """One request that may change something, of the current task. It watches its own commits (`CommitWatcher`).

    `end` must be called after its answer.

    Args:
        writes: remembers it.
        send: sends its answer.

    Attributes:
        next: the same request again, which is made because this one was not kept, or something has followed it.
    """

    def __init__(self, writes: UnsettledWrites, send: Send) -> None:
        self.next: Write | None = None
        self._writes = writes
        self._send = send
        self._task = asyncio.current_task()
        self._call: Call | None = None
        self._body: BodyDigest | None = None
        self._is_newest: Callable[[], Awaitable[bool]] | None = None
        self._key: Key | None = None
        self._early_answer: NightsafeError | None = None
        self._outcome: Future[Outcome] | None = None
        self._end = 0.0
        self._reply: Reply | None = None
        self._ended = asyncio.Event()

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message of the answer, unless the client has got its answer already."""
        if self._early_answer is None:
            await self._send(message)

    async def reply(self, call: Call, handle: Handle, *, remembers: bool) -> Reply:
        """Return the answer of the handler, or of the same request before.

        Args:
            call: the request.
            handle: the handler.
            remembers: whether the body may be compared; False for one that takes memory that others wait for.

        Raises:
            NightsafeError: of the handler; OUTCOME_UNKNOWN, when the outcome of the same request is still unknown.
        """
        receive, boundary = call.receive, _content_type(call)[1]
        if remembers and self._writes.has_like(call):
            parts, more = await first_parts(call)
            if not more:
                body = BodyDigest(self._writes.new_hash(), boundary)
                for part in parts:
                    body.update(part)
                if (known := await self._known_reply((_head_of(call), body.digest()))) is not None:
                    return known
            receive = replayed(parts, receive, more=more)
        if remembers:
            self._call, self._body = call, BodyDigest(self._writes.new_hash(), boundary)
            receive = self._body.of(receive)
        token = commit_watcher.set(self)
        try:
            self._reply = await handle(replace(call, receive=receive))
        finally:
            commit_watcher.reset(token)
        return self._reply

    async def reply_again(self) -> Reply | None:
        """Return the answer that the request has come to; None if it was not kept, or something has followed it.

        Raises:
            NightsafeError: OUTCOME_UNKNOWN, when that is still unknown.
        """
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await self._ended.wait()
        except TimeoutError:
            error = self._early_answer or NightsafeError(
                Code.OUTCOME_UNKNOWN, f"the same request is still being carried out: {AGAIN}, unchanged"
            )
            raise NightsafeError.of(error.problems) from None
        return self._reply if self._is_newest is not None and await self._is_newest() else None

    def end(self) -> None:
        """Keep the answer for a while, if the client has not got it and the write is kept."""
        self._ended.set()
        if self._key is None:
            return
        if self._early_answer is None or self._reply is None:
            self._writes.forget(self._key, self)
        else:
            asyncio.get_running_loop().call_later(_KEPT_SECONDS, self._writes.forget, self._key, self)

    def give_up(self) -> None:
        """End the wait for the outcome."""
        self._end = 0.0
        if self._outcome is not None and not self._outcome.done():
            self._outcome.set_exception(NightsafeError(Code.STORE, "the server stops"))

    def committed(self, is_newest: Callable[[], Awaitable[bool]]) -> None:
        """See `CommitWatcher.committed`."""
        if self._is_own_task():
            self._is_newest = is_newest

    async def unknown(self, error: OutcomeUnknownError) -> bool:
        """See `CommitWatcher.unknown`."""
        if self._is_own_task():
            self._outcome = error.outcome
        return await self._goes_on(error)

    async def no_primary(self) -> bool:
        """See `CommitWatcher.no_primary`."""
        if not self._is_own_task() or (self._is_newest is None and self._early_answer is None):
            return False
        error = NightsafeError(
            Code.OUTCOME_UNKNOWN,
            "the change is kept, but no primary of the database has told the rest of the answer in time: look at what"
            f" is there, or {AGAIN}, unchanged",
        )
        if await self._goes_on(error):
            return True
        raise error

    async def _known_reply(self, key: Key) -> Reply | None:
        """Return the answer of the same request before; None if this one must be made."""
        earlier = self._writes.get(key)
        while earlier is not None:
            reply = await earlier.reply_again()
            if reply is not None:
                self._writes.forget(key, earlier)
                return reply
            if earlier.next is None:  # the first that comes here makes it, and the others wait for that
                earlier.next, self._key = self, key
                self._writes.keep(key, self)
                break
            earlier = earlier.next
        return None

    def _is_own_task(self) -> bool:
        """Return whether the request itself asks, and not a task that was started meanwhile and knows its watcher."""
        return asyncio.current_task() is self._task

    async def _goes_on(self, error: NightsafeError) -> bool:
        """Answer with an error, unless that was done before, and return whether the request goes on."""
        if self._call is None or self._body is None or not self._is_own_task():
            return False
        loop = asyncio.get_running_loop()
        if self._early_answer is None:
            if not await self._body.finish(self._call):
                return False
            self._early_answer, self._end = error, loop.time() + _MOST_SECONDS
            self._key = (_head_of(self._call), self._body.digest())
            self._writes.keep(self._key, self)
            await send_reply(self._send, failure(error))
        return loop.time() < self._end


def _head_of(call: Call) -> tuple[object, ...]:
    """Return what makes a request the same, but for its body."""
    caller = call.caller
    return caller.principal.kind, caller.principal.id, caller.method, caller.path, call.query, _content_type(call)[0]


def _content_type(call: Call) -> tuple[bytes, bytes]:
    """Return the content type without its boundary, and the boundary."""
    kind, _, boundary = call.headers.get(b"content-type", b"").partition(_BOUNDARY)
    return kind, boundary.partition(b";")[0].strip(b' "')
