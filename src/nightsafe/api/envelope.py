"""The envelope every answer comes in: `result`, `success`, `errors`, `messages`. Status and `success` agree."""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from nightsafe.api.errors import as_json, row_for
from nightsafe.errors import NightsafeError

Headers = tuple[tuple[bytes, bytes], ...]

FIXED_HEADERS: Headers = (
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)

_HEAD = b'{"result":'
_TAIL = b',"success":true,"errors":[],"messages":[]}\n'


class Reply(Struct, frozen=True):
    """An answer, ready to be sent."""

    status: int
    body: bytes
    headers: Headers = FIXED_HEADERS


def fragment(result: bytes) -> bytes:
    """The envelope around a result that is JSON already."""
    return _HEAD + result + _TAIL


def success(result: object) -> Reply:
    """200 with a result to be encoded."""
    return Reply(200, fragment(msgspec.json.encode(result)))


def success_raw(result: bytes) -> Reply:
    """200 with a result that is JSON already."""
    return Reply(200, fragment(result))


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
