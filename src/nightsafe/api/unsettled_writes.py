"""Answers a write whose outcome is unknown, and the same request sent again as the first one turned out.

When no primary tells whether a write is kept, the client gets a 503. Its request goes on: it waits until that is
known, and then makes its answer, which is kept for a while. Clients send the same request again after a 503. Made
again, it would make a second version, or a second token. So it gets the answer of the first, if that was kept.

Requests are the same if their caller, method, path, query, content type and body are. The memory of a process has
digests of them under a random key, never a body.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

from msgspec.structs import replace

from nightsafe.api.http.body import Message, Receive, receive_part
from nightsafe.api.http.envelope import Reply, failure
from nightsafe.api.http.request import Call
from nightsafe.api.http.streaming import Send, send_reply
from nightsafe.errors import Code, NightsafeError
from nightsafe.store.changes import OutcomeUnknownError, told_unknown

_KEPT_SECONDS: Final = 120.0
"""An answer is kept for so long. Official clients send a request again within seconds."""

_WAIT_SECONDS: Final = 10.0
"""A repeated request waits so long for the outcome of the first."""

_MOST_WRITES: Final = 1000
_MOST_BYTES: Final = 1 << 20
"""A repeated request with a larger body is made again, because the body would have to be in memory to compare it."""

_BOUNDARY: Final = b"boundary="

Handle = Callable[[Call], Awaitable[Reply]]


class UnsettledWrites:
    """The writes of this process that were answered before their outcome was known."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._writes: list[Write] = []

    def write(self, send: Send) -> "Write":
        """Return a write of the current task; its `end` must be called."""
        return Write(self, send)

    def new_hash(self) -> "hashlib.blake2b":
        """Return an empty hash under the key of this process."""
        return hashlib.blake2b(key=self._key, digest_size=32)

    def like(self, call: Call) -> "list[Write]":
        """Return the writes whose requests are the same as this one but for the body."""
        head = _head_of(call) if self._writes else ()
        return [write for write in self._writes if write.head == head]

    def keep(self, write: "Write") -> None:
        """Remember a write, instead of the oldest if there are too many."""
        self._writes = [*self._writes[1 - _MOST_WRITES :], write]

    def forget(self, write: "Write") -> None:
        """Forget a write."""
        self._writes = [other for other in self._writes if other is not write]

    def end(self) -> None:
        """End the waits for outcomes, because the server is about to stop."""
        for write in self._writes:
            write.give_up()


class Write:
    """One request that may change something.

    Args:
        writes: remembers it.
        send: sends its answer.

    Attributes:
        head: what makes a request the same, but for its body.
        body: the digest of its body so far.
    """

    body: "_BodyDigest"

    def __init__(self, writes: UnsettledWrites, send: Send) -> None:
        self._writes = writes
        self._send = send
        self._task = asyncio.current_task()
        self._unknown: OutcomeUnknownError | None = None
        self._reply: Reply | None = None
        self._settled = asyncio.Event()
        self.head: tuple[object, ...] = ()

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message of the answer, unless the client has got its answer already."""
        if self._unknown is None:
            await self._send(message)

    async def reply(self, call: Call, handle: Handle) -> Reply:
        """Return the answer of the handler, or of the same request before.

        Raises:
            NightsafeError: of the handler; OUTCOME_UNKNOWN, when the outcome of the same request is still unknown.
        """
        receive, earlier = call.receive, self._writes.like(call)
        boundary = _content_type(call)[1]
        if earlier:
            parts, more = await _first_parts(call)
            body = _BodyDigest(self._writes.new_hash(), boundary)
            for part in parts:
                body.update(part)
            for write in earlier:
                if not more and write.body.digest() == body.digest() and (settled := await write.settled()):
                    return settled
            receive = _replayed(parts, receive, more=more)
        self.body = _BodyDigest(self._writes.new_hash(), boundary)
        token = told_unknown.set(partial(self._told_unknown, call))
        try:
            self._reply = await handle(replace(call, receive=self.body.of(receive)))
        finally:
            told_unknown.reset(token)
        return self._reply

    async def settled(self) -> Reply | None:
        """Return the answer that the request has come to; None if it has changed nothing.

        Raises:
            NightsafeError: OUTCOME_UNKNOWN, when that is still unknown.
        """
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await self._settled.wait()
        except TimeoutError:
            if self._unknown is not None:
                raise NightsafeError.of(self._unknown.problems) from None
        return self._reply

    def end(self) -> None:
        """Keep the answer for a while, if the client has not got it and the write is kept."""
        self._settled.set()
        if self._unknown is not None:
            if self._reply is None:
                self._writes.forget(self)
            else:
                asyncio.get_running_loop().call_later(_KEPT_SECONDS, self._writes.forget, self)

    def give_up(self) -> None:
        """End the wait for the outcome."""
        if self._unknown is not None and not self._unknown.outcome.done():
            self._unknown.outcome.set_exception(NightsafeError(Code.STORE, "the server stops"))

    async def _told_unknown(self, call: Call, error: OutcomeUnknownError) -> bool:
        """Answer that the outcome is unknown, and let the handler wait for it."""
        if asyncio.current_task() is not self._task or self._unknown is not None:
            return False  # a task that the request has started, or a second commit of the request
        self._unknown, self.head = error, _head_of(call)
        self._writes.keep(self)
        await send_reply(self._send, failure(error))
        return True


class _BodyDigest:
    """The digest of a body without the boundary between its parts, which differs each time a client sends it.

    Args:
        hashed: an empty hash.
        boundary: the boundary, or b"".
    """

    def __init__(self, hashed: "hashlib.blake2b", boundary: bytes) -> None:
        self._hashed = hashed
        self._boundary = boundary
        self._rest = b""

    def of(self, receive: Receive) -> Receive:
        """Return a `receive` that adds each part of the body to the digest."""

        async def part() -> Message:
            """Return the next part."""
            message = await receive()
            self.update(message.get("body", b""))
            return message

        return part

    def update(self, part: bytes) -> None:
        """Add a part of the body."""
        if not self._boundary:
            self._hashed.update(part)
            return
        body = (self._rest + part).replace(self._boundary, b"")
        end = max(len(body) - len(self._boundary) + 1, 0)
        self._hashed.update(body[:end])
        self._rest = body[end:]

    def digest(self) -> bytes:
        """Return the digest."""
        whole = self._hashed.copy()
        whole.update(self._rest)
        return whole.digest()


def _head_of(call: Call) -> tuple[object, ...]:
    """Return what makes a request the same, but for its body."""
    caller = call.caller
    return caller.principal.kind, caller.principal.id, caller.method, caller.path, call.query, _content_type(call)[0]


def _content_type(call: Call) -> tuple[bytes, bytes]:
    """Return the content type without its boundary, and the boundary."""
    kind, _, boundary = call.headers.get(b"content-type", b"").partition(_BOUNDARY)
    return kind, boundary.partition(b";")[0].strip(b' "')


async def _first_parts(call: Call) -> tuple[list[bytes], bool]:
    """Return the body's parts up to a size, and whether more follow.

    Raises:
        NightsafeError: TIMEOUT, or BODY_UNREADABLE when the body ends early.
    """
    parts, more = list[bytes](), True
    while more and sum(map(len, parts)) <= _MOST_BYTES:
        part, more = await receive_part(call.receive, call.limits.body_seconds)
        parts.append(part)
    return parts, more


def _replayed(parts: Sequence[bytes], receive: Receive, *, more: bool) -> Receive:
    """Return a `receive` that gives these parts of a body first, and then those that follow, if there are more."""
    left = [*parts]

    async def part() -> Message:
        """Return the next part."""
        if not left:
            return await receive()
        body = left.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(left) or more}

    return part
