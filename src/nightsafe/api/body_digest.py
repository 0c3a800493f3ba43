"""Compares the bodies of requests by digests: reads a body before its handler does, or what its handler has left."""

import hashlib
from collections.abc import Sequence
from typing import Final

from nightsafe.api.http.body import Message, Receive, receive_part
from nightsafe.api.http.request import Call
from nightsafe.errors import NightsafeError

_MOST_BYTES: Final = 64 * 1024
"""The largest body that is compared. Larger ones have a limited memory, which others may wait for."""


class BodyDigest:
    """The digest of a body without the boundary between its parts, which differs each time a client sends it.

    Args:
        hashed: an empty hash.
        boundary: the boundary, or b"".
    """

    def __init__(self, hashed: "hashlib.blake2b", boundary: bytes) -> None:
        self._hashed = hashed
        self._boundary = boundary
        self._rest = b""
        self._receive: Receive | None = None
        self._size = 0
        self._is_whole = False

    def of(self, receive: Receive) -> Receive:
        """Return a `receive` that adds each part of the body to the digest."""

        async def part() -> Message:
            """Return the next part."""
            message = await receive()
            self._is_whole = not message.get("more_body", False)
            self.update(message.get("body", b""))
            return message

        self._receive = part
        return part

    async def finish(self, call: Call) -> bool:
        """Receive what the handler has not read of the body; return whether it is whole, and not too large."""
        try:
            while self._receive is not None and not self._is_whole and self._size <= _MOST_BYTES:
                await receive_part(self._receive, call.limits.body_seconds)
        except NightsafeError:
            return False
        return self._is_whole and self._size <= _MOST_BYTES

    def update(self, part: bytes) -> None:
        """Add a part of the body."""
        self._size += len(part)
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


async def first_parts(call: Call) -> tuple[list[bytes], bool]:
    """Return the body's parts up to a size, and whether more follow.

    Raises:
        NightsafeError: TIMEOUT, or BODY_UNREADABLE when the body ends early.
    """
    parts, more = list[bytes](), True
    while more and sum(map(len, parts)) <= _MOST_BYTES:
        part, more = await receive_part(call.receive, call.limits.body_seconds)
        parts.append(part)
    return parts, more


def replayed(parts: Sequence[bytes], receive: Receive, *, more: bool) -> Receive:
    """Return a `receive` that gives these parts of a body first, and then those that follow, if there are more."""
    left = [*parts]

    async def part() -> Message:
        """Return the next part."""
        if not left:
            return await receive()
        body = left.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(left) or more}

    return part
