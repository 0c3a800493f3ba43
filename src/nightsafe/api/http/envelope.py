"""Builds the envelope of every answer: `result`, `success`, `errors`, `messages`. The status and `success` agree."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from functools import partial

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from nightsafe.api.http.errors import as_json, row_for
from nightsafe.errors import NightsafeError, Problem
from nightsafe.store.turns import in_turns

Headers = tuple[tuple[bytes, bytes], ...]

FIXED_HEADERS: Headers = (
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)

_OK = 200
_PART_ITEMS = 50
_MAX_JOINED_PARTS = 10
_HEAD = b'{"result":'
_TAIL = b',"success":true,"errors":[],"messages":[]}\n'
_TAIL_WITH = b',"success":true,"errors":[],"messages":'


class Insert(Struct, frozen=True):
    """A part of a body that is not read until it is sent.

    Attributes:
        at: the offset in the body that the part is inserted at.
        size: its length in bytes.
        slices: yields its bytes.
    """

    at: int
    size: int
    slices: Callable[[], AsyncIterator[bytes]]


class Reply(Struct, frozen=True):
    """An answer that is ready to send. Its body leaves out large parts, which are in `inserts`."""

    status: int
    body: bytes
    headers: Headers = FIXED_HEADERS
    inserts: tuple[Insert, ...] = ()

    @property
    def size(self) -> int:
        """Return the number of bytes to send."""
        return len(self.body) + sum(insert.size for insert in self.inserts)


def in_envelope(result: bytes) -> bytes:
    """Return the envelope around a result that is already JSON."""
    return _HEAD + result + _TAIL


def success(result: object, notices: Sequence[Problem] = ()) -> Reply:
    """Return a 200 with a result to encode.

    Args:
        result: the result.
        notices: parts of the request that had no effect or a different one. Each becomes one of `messages`.
    """
    return success_raw(msgspec.json.encode(result), notices)


def success_raw(result: bytes, notices: Sequence[Problem] = ()) -> Reply:
    """Return a 200 with a result that is already JSON; see `success`."""
    if not notices:
        return Reply(200, in_envelope(result))
    messages = msgspec.json.encode([as_json(notice) for notice in notices])
    return Reply(200, _HEAD + result + _TAIL_WITH + messages + b"}\n")


def success_with_info(result: bytes, info: bytes) -> Reply:
    """Return a 200 with a result and its `result_info`; both are already JSON."""
    return Reply(200, _HEAD + result + b',"result_info":' + info + _TAIL)


def with_inserts(result: bytes, inserts: Iterable[Insert]) -> Reply:
    """Return a 200 with a result that is JSON except for its inserts."""
    return Reply(
        200, in_envelope(result), inserts=tuple(replace(insert, at=insert.at + len(_HEAD)) for insert in inserts)
    )


def with_notices(reply: Reply, notices: Sequence[Problem]) -> Reply:
    """Add `messages` to an answer. An answer other than a successful envelope stays unchanged.

    The result comes first and keeps its bytes, so its inserts keep their places.
    """
    if not notices or reply.status != _OK or reply.headers[:1] != FIXED_HEADERS[:1]:
        return reply
    envelope = msgspec.json.decode(reply.body, type=dict[str, msgspec.Raw])
    messages = msgspec.json.decode(envelope["messages"], type=list[msgspec.Raw])
    more = [msgspec.Raw(msgspec.json.encode(as_json(notice))) for notice in notices]
    body = msgspec.json.encode({**envelope, "messages": messages + more})
    return replace(reply, body=body + b"\n")


async def list_reply(items: AsyncIterable[object]) -> Reply:
    """Return a 200 with a list of any length.

    Each item is encoded when it arrives, so that a long list does not block other requests. A long list is sent in
    parts, because copying megabytes takes as long as sending many parts.
    """
    encode, parts, part_items = msgspec.json.Encoder().encode, list[bytes](), list[bytes]()
    async for item in items:
        part_items.append(encode(item))
        if len(part_items) == _PART_ITEMS:
            parts.append(b",".join(part_items))
            part_items.clear()
    if part_items:
        parts.append(b",".join(part_items))
    if len(parts) <= _MAX_JOINED_PARTS:
        return Reply(200, in_envelope(b"[" + b",".join(parts) + b"]"))
    parts[1:] = [b"," + part for part in parts[1:]]
    return with_inserts(b"[]", [Insert(1, sum(map(len, parts)), partial(in_turns, parts, 1))])


def array(items: Iterable[bytes]) -> bytes:
    """Return a JSON array of members that are already JSON."""
    return b"[" + b",".join(items) + b"]"


def failure(error: NightsafeError, headers: Iterable[tuple[bytes, bytes]] = ()) -> Reply:
    """Return the status of the first problem, with every problem in `errors`."""
    envelope = {
        "result": None,
        "success": False,
        "errors": [as_json(problem) for problem in error.problems],
        "messages": [],
    }
    return Reply(row_for(error.code).status, msgspec.json.encode(envelope) + b"\n", (*FIXED_HEADERS, *headers))
