"""Reading of bodies: strict JSON, limits of size and time, and the discarding of unread bodies."""

import asyncio
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightsafe.api.http.body import MAX_DEPTH, Incoming, chunks, parse_json, read
from nightsafe.errors import Code, NightsafeError

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=20,
)


def nested(levels: int) -> bytes:
    """Return arrays and objects in turn, nested this many levels deep."""
    opening = b"".join(b"[" if level % 2 else b'{"a":' for level in range(levels))
    closing = b"".join(b"]" if level % 2 else b"}" for level in reversed(range(levels)))
    return opening + b"0" + closing


@given(JSON, st.booleans())
def test_json_is_parsed_unchanged(value: Any, ascii_only: bool) -> None:  # noqa: FBT001 - drawn
    """Every JSON value within the limits is parsed unchanged, escaped or not."""
    assert value == parse_json(json.dumps(value, ensure_ascii=ascii_only).encode())


@given(st.binary())
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Any bytes are parsed as the standard library parses them, or refused."""
    if passes(body):
        assert json.loads(body.decode()) == parse_json(body)


def test_json_depth_is_limited() -> None:
    """Nesting of 32 levels is accepted and 33 levels are refused; brackets in strings do not count."""
    parse_json(nested(MAX_DEPTH))
    assert ["[" * 100] == parse_json(json.dumps(["[" * 100]).encode())
    with pytest.raises(NightsafeError, match="deeper than 32 levels"):
        parse_json(nested(MAX_DEPTH + 1))


@given(st.integers(), st.floats())
def test_json_numbers_are_limited(integer: int, number: float) -> None:
    """Integers must fit 64 bits, and floats must be finite."""
    assert (-(2**63) <= integer < 2**64) is passes(str(integer).encode())
    assert math.isfinite(number) is passes(json.dumps(number).encode())


def passes(body: bytes) -> bool:
    """Return whether the bytes are accepted; otherwise they must be refused as unreadable."""
    try:
        parse_json(body)
    except NightsafeError as error:
        return error.code != Code.BODY_UNREADABLE
    return True


@given(st.integers(0xD800, 0xDFFF), st.sampled_from(['"{}"', '{{"{}":0}}', '[["é",{{"a":"{}"}}]]', '"\\\\ {} x"']))
def test_a_lone_surrogate_is_refused(code: int, form: str) -> None:
    """A lone surrogate in a string or in a member's name is refused; a whole pair is one character."""
    for escape in (f"\\u{code:04x}", f"\\u{code:04X}"):
        assert not passes(form.format(escape).encode())
    assert parse_json(b'"\\ud83d\\uDE00"') == "😀"
    assert parse_json(b'"\\\\ud83d"') == "\\ud83d"


def test_a_json_refusal_names_the_position() -> None:
    """A refusal names the line and column, or the byte, and repeats none of the content."""
    with pytest.raises(NightsafeError, match="line 2, column 3"):
        parse_json(b'{\n  planted: "planted"}')
    with pytest.raises(NightsafeError, match="byte 3"):
        parse_json(b'"ab\xff"')


class Connection:
    """A connection that delivers these parts."""

    def __init__(self, *parts: bytes, ends: bool = True) -> None:
        self.parts = list(parts)
        self.ends = ends
        self.asked = 0

    async def __call__(self) -> dict[str, Any]:
        """Return the next part, or a disconnect when no part is left."""
        self.asked += 1
        if not self.parts:
            return {"type": "http.disconnect"}
        part = self.parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(self.parts) or not self.ends}


@given(st.lists(st.binary(max_size=5), min_size=1, max_size=6), st.integers(0, 30))
def test_a_body_over_the_limit_is_refused(parts: list[bytes], limit: int) -> None:
    """A body is accepted only if all its parts together keep to the limit."""

    async def outcome() -> bytes | Code:
        """Return the body, or the code of the refusal."""
        try:
            return bytes(await read(Connection(*parts), limit, 1))
        except NightsafeError as error:
            return error.code

    whole = b"".join(parts)
    assert (whole if len(whole) <= limit else Code.BODY_TOO_LARGE) == asyncio.run(outcome())


async def test_reading_stops_at_the_limit() -> None:
    """The part that exceeds the limit ends the reading."""
    connection = Connection(*[b"xx"] * 10)
    with pytest.raises(NightsafeError):
        await read(connection, 3, 1)

    assert connection.asked == 2


async def test_a_message_without_a_body_is_an_empty_part() -> None:
    """A message without `body` and `more_body`, which ASGI allows, is an empty last part."""

    async def receive() -> dict[str, Any]:
        """Return the shortest message that ASGI allows."""
        return {"type": "http.request"}

    assert await read(receive, 0, 1) == b""


async def test_a_body_that_ends_early_is_refused() -> None:
    """A body that the client cuts off is refused."""
    with pytest.raises(NightsafeError) as refused:
        await read(Connection(b"x", ends=False), 10, 1)

    assert refused.value.code is Code.BODY_UNREADABLE


async def test_a_stalled_body_times_out() -> None:
    """A part that takes longer than allowed is refused."""

    async def receive() -> dict[str, Any]:
        """Wait for ever."""
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(NightsafeError) as refused:
        [part async for part in chunks(receive, 10, 0.01, Code.BODY_TOO_LARGE)]
    assert refused.value.code == Code.TIMEOUT


SENT = [(b"content-length", b"3")]


@pytest.mark.parametrize(
    ("headers", "parts", "ends", "kept"),
    [
        ([], [b"x"], True, True),
        ([(b"content-length", b"0")], [b""], True, True),
        (SENT, [b"xxx"], True, True),
        (SENT, [b"x", b"xx"], True, True),
        ([(b"transfer-encoding", b"chunked")], [b"x"] * 9, True, True),
        (SENT, [b"x"], False, False),
        ([*SENT, (b"expect", b"100-continue")], [b"xxx"], True, False),
        (SENT, [bytes(2**22)] * 30, True, False),
    ],
)
async def test_an_unread_body_is_discarded(
    headers: list[tuple[bytes, bytes]],
    parts: list[bytes],
    ends: bool,  # noqa: FBT001
    kept: bool,  # noqa: FBT001
) -> None:
    """An unread body is read to its end, unless it is cut off, too large, or still waits for `100 Continue`."""
    connection = Connection(*parts, ends=ends)

    assert kept is await Incoming({"headers": headers}, connection).discard()
    assert connection.asked < 20


async def test_the_rest_of_a_body_is_discarded() -> None:
    """A body that was partly read is read to its end; a body that has ended is not read again."""
    connection = Connection(b"x", b"y", b"z")
    incoming = Incoming({"headers": [(b"expect", b"100-continue")]}, connection)
    await incoming()

    assert await incoming.discard()
    assert await incoming.discard()
    assert connection.asked == 3
