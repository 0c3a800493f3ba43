"""The envelope every answer comes in: `result`, `success`, `errors`, `messages`. Status and `success` agree."""

from collections.abc import AsyncIterable, Iterable, Sequence

import msgspec
from msgspec import Struct

from nightsafe.api.errors import as_json, row_for
from nightsafe.errors import NightsafeError, Problem
from nightsafe.store.turns import turn

Headers = tuple[tuple[bytes, bytes], ...]

FIXED_HEADERS: Headers = (
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)

_OK = 200
_SOME = 100
_LARGE = 50
_HEAD = b'{"result":'
_TAIL = b',"success":true,"errors":[],"messages":[]}\n'
_TAIL_WITH = b',"success":true,"errors":[],"messages":'


class Reply(Struct, frozen=True):
    """An answer, ready to be sent."""

    status: int
    body: bytes
    headers: Headers = FIXED_HEADERS


def fragment(result: bytes) -> bytes:
    """The envelope around a result that is JSON already."""
    return _HEAD + result + _TAIL


def success(result: object, notices: Sequence[Problem] = ()) -> Reply:
    """200 with a result to be encoded.

    Args:
        result: what was asked for.
        notices: what was done otherwise than it was asked for, or not at all: each is one of `messages`.
    """
    return success_raw(msgspec.json.encode(result), notices)


def success_raw(result: bytes, notices: Sequence[Problem] = ()) -> Reply:
    """200 with a result that is JSON already; see `success`."""
    if not notices:
        return Reply(200, fragment(result))
    messages = msgspec.json.encode([as_json(notice) for notice in notices])
    return Reply(200, _HEAD + result + _TAIL_WITH + messages + b"}\n")


def with_notices(reply: Reply, notices: Sequence[Problem]) -> Reply:
    """The same answer with more in `messages`; what is no envelope of a success stays as it is."""
    if not notices or reply.status != _OK or reply.headers[:1] != FIXED_HEADERS[:1]:
        return reply
    envelope = msgspec.json.decode(reply.body, type=dict[str, msgspec.Raw])
    messages = msgspec.json.decode(envelope["messages"], type=list[msgspec.Raw])
    more = [msgspec.Raw(msgspec.json.encode(as_json(notice))) for notice in notices]
    body = msgspec.json.encode({**envelope, "messages": messages + more})
    return Reply(reply.status, body + b"\n", reply.headers)


async def listed(items: AsyncIterable[object]) -> Reply:
    """200 with a list of any length: each item is encoded when it comes, for all at once would hold others up."""
    encode, parts, some = msgspec.json.Encoder().encode, [_HEAD, b"["], list[bytes]()
    async for item in items:
        some.append(encode(item))
        if len(some) == _SOME:
            parts += (b",".join(some), b",")
            some.clear()
    if len(parts) > _LARGE:
        await turn()
    last = b",".join(some) if some else b""
    if not some and len(parts) > len((_HEAD, b"[")):
        parts.pop()
    return Reply(200, b"".join((*parts, last, b"]", _TAIL)))


def array(items: Iterable[bytes]) -> bytes:
    """A JSON array of members that are JSON already."""
    return b"[" + b",".join(items) + b"]"


def failure(error: NightsafeError, headers: Iterable[tuple[bytes, bytes]] = ()) -> Reply:
    """The status of the first problem, with every problem in `errors`."""
    envelope = {
        "result": None,
        "success": False,
        "errors": [as_json(problem) for problem in error.problems],
        "messages": [],
    }
    return Reply(row_for(error.code).status, msgspec.json.encode(envelope) + b"\n", (*FIXED_HEADERS, *headers))
