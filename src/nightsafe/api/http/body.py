"""Reads a request's body: bounded in bytes and time, and parsed without guessing."""

import asyncio
import json
import math
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from typing import Any

from nightsafe.errors import Code, NightsafeError
from nightsafe.secret_value import wipe

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]

MAX_DEPTH = 32
_JSON_TYPES = frozenset({b"", b"application/json"})
_PATCH_TYPES = _JSON_TYPES | {b"application/merge-patch+json"}
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_MAX_INTEGER = 2**64
_DISCARD_BYTES = 64 * 1024 * 1024
_DISCARD_SECONDS = 5.0
_MIN_BYTES_PER_SECOND = 16 * 1024
_THREAD_BYTES = 32 * 1024


class Incoming:
    """The ASGI callable that receives a body, and can discard the rest of it.

    The rest must be read: a server that answers before the whole body has arrived must close the connection, and
    clients may then lose the answer.
    """

    __slots__ = ("_complete", "_disconnected", "_headers", "_receive", "_started")

    def __init__(self, scope: MutableMapping[str, Any], receive: Receive) -> None:
        self._headers: list[tuple[bytes, bytes]] = scope["headers"]
        self._receive = receive
        self._started = self._complete = self._disconnected = False

    async def __call__(self) -> Message:
        """Return the next part."""
        self._started = True
        message = await self._receive()
        self._disconnected = message["type"] == "http.disconnect"
        self._complete = self._disconnected or not message.get("more_body", False)
        return message

    async def discard(self) -> bool:
        """Read to the body's end. Return False when the rest is too long and the connection must close."""
        if self._complete or not (self._started or self._has_body()):
            return not self._disconnected
        if not self._started and any(name == b"expect" for name, _ in self._headers):
            return False
        try:
            async with asyncio.timeout(_DISCARD_SECONDS):
                size = 0
                while not self._complete and size <= _DISCARD_BYTES:
                    size += len((await self()).get("body", b""))
        except TimeoutError:
            return False
        return self._complete and not self._disconnected

    def _has_body(self) -> bool:
        """Tell whether the request has a body."""
        return any(
            name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
            for name, value in self._headers
        )


async def chunks(receive: Receive, limit: int, seconds: float, too_large: Code) -> AsyncIterator[bytes]:
    """Yield the body part by part.

    Args:
        receive: the ASGI callable.
        limit: the most bytes of the whole body.
        seconds: the longest time without data.
        too_large: the code of the refusal of a larger body.

    Raises:
        NightsafeError: `too_large`, TIMEOUT, or BODY_UNREADABLE when the body ends early.
    """
    started, size, more = time.monotonic(), 0, True
    while more:
        part, more = await receive_part(receive, seconds)
        size += len(part)
        if size > limit:
            raise NightsafeError(too_large, str(limit))
        _check_pace(started, size, seconds)
        yield part


async def read(receive: Receive, limit: int, seconds: float) -> bytearray:
    """Return the whole body, for `parse_json` to wipe.

    It does the same as `chunks` with BODY_TOO_LARGE, without the cost of a generator for each part.
    """
    parts: list[bytes] = []
    started, size, more = time.monotonic(), 0, True
    while more:
        part, more = await receive_part(receive, seconds)
        size += len(part)
        if size > limit:
            raise NightsafeError(Code.BODY_TOO_LARGE, str(limit))
        _check_pace(started, size, seconds)
        parts.append(part)
    return bytearray().join(parts)


def _check_pace(started: float, size: int, seconds: float) -> None:
    """Refuse a slow body: from twice `seconds` on, it must have arrived at 16 KiB a second or more."""
    if time.monotonic() - started > 2 * seconds + size / _MIN_BYTES_PER_SECOND:
        raise NightsafeError(Code.TIMEOUT, f"it arrived slower than {_MIN_BYTES_PER_SECOND} bytes a second")


async def receive_part(receive: Receive, seconds: float) -> tuple[bytes, bool]:
    """Return the next part of the body, and whether more follows.

    Raises:
        NightsafeError: TIMEOUT, or BODY_UNREADABLE when the body ends early.
    """
    try:
        async with asyncio.timeout(seconds):
            message = await receive()
    except TimeoutError:
        raise NightsafeError(Code.TIMEOUT, f"no data arrived for {seconds:g} seconds") from None
    if message["type"] == "http.disconnect":
        raise NightsafeError(Code.BODY_UNREADABLE, "it ended early")
    return message.get("body", b""), message.get("more_body", False)


def check_json_type(content_type: bytes, *, merge_patch: bool = False) -> None:
    """Refuse a Content-Type other than JSON; a request without one counts as JSON.

    Raises:
        NightsafeError: CONTENT_TYPE.
    """
    bare = content_type.partition(b";")[0].strip().lower()
    if bare not in (_PATCH_TYPES if merge_patch else _JSON_TYPES):
        accepted_types = "application/json or application/merge-patch+json" if merge_patch else "application/json"
        raise NightsafeError(Code.CONTENT_TYPE, f"send {accepted_types}")


async def parse_json_in_thread(body: bytes | bytearray) -> Any:
    """Parse as `parse_json`, but large texts in a thread: a million brackets would block others for half a second."""
    return await asyncio.to_thread(parse_json, body) if len(body) > _THREAD_BYTES else parse_json(body)


def parse_json(body: bytes | bytearray) -> Any:
    """Parse a JSON value from UTF-8 text, strictly. Wipe a `bytearray` afterwards.

    Duplicate members, lone surrogates, NaN and infinities, integers beyond 64 bits, and more than 32 levels are
    refused too.

    Raises:
        NightsafeError: BODY_UNREADABLE, with the reason and its position but no part of the content.
    """
    try:
        text = body.decode()
        value = _decoder.decode(text)
        if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
            _check_depth(value)
        if _SURROGATE.search(text):
            _check_surrogates(value)
    except UnicodeDecodeError as error:
        raise _unreadable(f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise _unreadable(f"not JSON at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise _unreadable(f"nested deeper than {MAX_DEPTH} levels") from None
    finally:
        if isinstance(body, bytearray):
            wipe(body)
    return value


def _unreadable(reason: str) -> NightsafeError:
    """Return the refusal of a body, with the reason."""
    return NightsafeError(Code.BODY_UNREADABLE, reason)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object from members; refuse a duplicate name."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _unreadable("an object names the same member twice")
    return members


def _finite(digits: str) -> float:
    """Return a number with a fraction or an exponent, if a double can hold it."""
    number = float(digits)
    if not math.isfinite(number):
        raise _unreadable("a number is too large")
    return number


def _integer(digits: str) -> int:
    """Return an integer of at most 64 bits."""
    number = int(digits) if len(digits) < len(str(_MAX_INTEGER)) + 2 else _MAX_INTEGER
    if not -_MAX_INTEGER // 2 <= number < _MAX_INTEGER:
        raise _unreadable("an integer is beyond 64 bits")
    return number


def _refuse_constant(_: str) -> None:
    """Refuse constants that Python accepts but JSON does not have."""
    raise _unreadable("NaN and Infinity are not JSON")


_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_finite, parse_int=_integer, parse_constant=_refuse_constant
)


def _children(value: Any) -> Iterator[Any]:
    """Yield the items of an array, or the names and values of an object."""
    if isinstance(value, dict):
        yield from value
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _check_depth(value: Any) -> None:
    """Refuse a value that is nested too deeply."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _children(parent) if isinstance(child, (dict, list))]
        if not level:
            return
    raise _unreadable(f"nested deeper than {MAX_DEPTH} levels")


def _check_surrogates(value: Any) -> None:
    """Refuse strings that UTF-8 cannot encode."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str) and not item.isascii():
            try:
                item.encode()
            except UnicodeEncodeError:
                raise _unreadable("a string contains half of a surrogate pair") from None
        waiting.extend(_children(item))
