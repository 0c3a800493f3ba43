"""The envelope of every answer: `result`, `success`, `errors`, `messages`. The status and `success` agree."""

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
_SOME = 50
_LARGE = 10
_HEAD = b'{"result":'
_TAIL = b',"success":true,"errors":[],"messages":[]}\n'
_TAIL_WITH = b',"success":true,"errors":[],"messages":'


class Insert(Struct, frozen=True):
    """A part of a body that is read only while it is sent.

    Attributes:
        at: before which byte of the body.
        size: how many bytes it has.
        slices: gives them.
    """

    at: int
    size: int
    slices: Callable[[], AsyncIterator[bytes]]


class Reply(Struct, frozen=True):
    """An answer, ready to be sent; large parts stand outside of its body."""

    status: int
    body: bytes
    headers: Headers = FIXED_HEADERS
    inserts: tuple[Insert, ...] = ()

    @property
    def size(self) -> int:
        """Return how many bytes are sent."""
        return len(self.body) + sum(insert.size for insert in self.inserts)


def fragment(result: bytes) -> bytes:
    """Return the envelope around a result that is JSON already."""
    return _HEAD + result + _TAIL


def success(result: object, notices: Sequence[Problem] = ()) -> Reply:
    """Return a 200 with a result to encode.

    Args:
        result: what was asked for.
        notices: what was done otherwise than it was asked for, or not at all: each is one of `messages`.
    """
    return success_raw(msgspec.json.encode(result), notices)


def success_raw(result: bytes, notices: Sequence[Problem] = ()) -> Reply:
    """Return a 200 with a result that is JSON already; see `success`."""
    if not notices:
        return Reply(200, fragment(result))
    messages = msgspec.json.encode([as_json(notice) for notice in notices])
    return Reply(200, _HEAD + result + _TAIL_WITH + messages + b"}\n")


def success_with_info(result: bytes, info: bytes) -> Reply:
    """Return a 200 with a result and its `result_info`; both are JSON already."""
    return Reply(200, _HEAD + result + b',"result_info":' + info + _TAIL)


def with_inserts(result: bytes, inserts: Iterable[Insert]) -> Reply:
    """Return a 200 with a result that is JSON except for its inserts."""
    return Reply(200, fragment(result), inserts=tuple(replace(one, at=one.at + len(_HEAD)) for one in inserts))


def with_notices(reply: Reply, notices: Sequence[Problem]) -> Reply:
    """Add `messages` to an answer; an answer that is no envelope of a success stays as it is.

    The result comes first and keeps its bytes, so its inserts keep their places.
    """
    if not notices or reply.status != _OK or reply.headers[:1] != FIXED_HEADERS[:1]:
        return reply
    envelope = msgspec.json.decode(reply.body, type=dict[str, msgspec.Raw])
    messages = msgspec.json.decode(envelope["messages"], type=list[msgspec.Raw])
    more = [msgspec.Raw(msgspec.json.encode(as_json(notice))) for notice in notices]
    body = msgspec.json.encode({**envelope, "messages": messages + more})
    return replace(reply, body=body + b"\n")


async def listed(items: AsyncIterable[object]) -> Reply:
    """Return a 200 with a list of any length.

    Each item is encoded when it arrives, so that a long list does not block others. A long list is sent in parts,
    because copying megabytes takes as long as sending many parts.
    """
    encode, parts, some = msgspec.json.Encoder().encode, list[bytes](), list[bytes]()
    async for item in items:
        some.append(encode(item))
        if len(some) == _SOME:
            parts.append(b",".join(some))
            some.clear()
    if some:
        parts.append(b",".join(some))
    if len(parts) <= _LARGE:
        return Reply(200, fragment(b"[" + b",".join(parts) + b"]"))
    parts[1:] = [b"," + part for part in parts[1:]]
    return with_inserts(b"[]", [Insert(1, sum(map(len, parts)), partial(in_turns, parts, 1))])


def array(items: Iterable[bytes]) -> bytes:
    """Return a JSON array of members that are JSON already."""
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
