"""Reading bodies: JSON strictly, bytes and seconds bounded, and what nobody wanted let go."""

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
    """Arrays and objects in turn, so many levels of them."""
    opening = b"".join(b"[" if level % 2 else b'{"a":' for level in range(levels))
    closing = b"".join(b"]" if level % 2 else b"}" for level in reversed(range(levels)))
    return opening + b"0" + closing


@given(JSON, st.booleans())
def test_json_comes_through(value: Any, ascii_only: bool) -> None:  # noqa: FBT001 - drawn
    """Every JSON value within the bounds is read as it was written, escaped or not."""
    assert value == parse_json(json.dumps(value, ensure_ascii=ascii_only).encode())


@given(st.binary())
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Nothing but a refusal is raised; what is read is what the standard library reads."""
    if passes(body):
        assert json.loads(body.decode()) == parse_json(body)


def test_depth_is_bounded() -> None:
    """32 levels pass, 33 do not; brackets in strings are no levels."""
    parse_json(nested(MAX_DEPTH))
    assert ["[" * 100] == parse_json(json.dumps(["[" * 100]).encode())
    with pytest.raises(NightsafeError, match="deeper than 32 levels"):
        parse_json(nested(MAX_DEPTH + 1))


@given(st.integers(), st.floats())
def test_numbers_are_bounded(integer: int, number: float) -> None:
    """64 bits for an integer, and no number without end."""
    assert (-(2**63) <= integer < 2**64) is passes(str(integer).encode())
    assert math.isfinite(number) is passes(json.dumps(number).encode())


def passes(body: bytes) -> bool:
    """Whether bytes are taken; if not they are refused as unreadable."""
    try:
        parse_json(body)
    except NightsafeError as error:
        return error.code != Code.BODY_UNREADABLE
    return True


@given(st.integers(0xD800, 0xDFFF), st.sampled_from(['"{}"', '{{"{}":0}}', '[["é",{{"a":"{}"}}]]', '"\\\\ {} x"']))
def test_half_a_surrogate_pair_is_refused(code: int, form: str) -> None:
    """In a string and in a member's name, in either case of hex; a whole pair is a character."""
    for escape in (f"\\u{code:04x}", f"\\u{code:04X}"):
        assert not passes(form.format(escape).encode())
    assert parse_json(b'"\\ud83d\\uDE00"') == "😀"
    assert parse_json(b'"\\\\ud83d"') == "\\ud83d"


def test_a_refusal_names_the_place() -> None:
    """Line and column, or the byte; nothing of the content."""
    with pytest.raises(NightsafeError, match="line 2, column 3"):
        parse_json(b'{\n  planted: "planted"}')
    with pytest.raises(NightsafeError, match="byte 3"):
        parse_json(b'"ab\xff"')


class Line:
    """A connection that delivers these parts."""

    def __init__(self, *parts: bytes, ends: bool = True) -> None:
        self.parts = list(parts)
        self.ends = ends
        self.asked = 0

    async def __call__(self) -> dict[str, Any]:
        """The next part; the client is gone when there is none."""
        self.asked += 1
        if not self.parts:
            return {"type": "http.disconnect"}
        part = self.parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(self.parts) or not self.ends}


@given(st.lists(st.binary(max_size=5), min_size=1, max_size=6), st.integers(0, 30))
def test_a_body_is_bounded_as_it_comes(parts: list[bytes], limit: int) -> None:
    """Whatever its parts, it passes if and only if all together keep to the limit."""

    async def get() -> bytes | Code:
        """The body, or why not."""
        try:
            return bytes(await read(Line(*parts), limit, 1))
        except NightsafeError as error:
            return error.code

    whole = b"".join(parts)
    assert (whole if len(whole) <= limit else Code.BODY_TOO_LARGE) == asyncio.run(get())


async def test_what_is_past_the_limit_is_not_asked_for() -> None:
    """The first part too many ends the reading."""
    line = Line(*[b"xx"] * 10)
    with pytest.raises(NightsafeError):
        await read(line, 3, 1)

    assert line.asked == 2


async def test_a_part_without_a_body_counts_nothing() -> None:
    """ASGI lets both members be absent."""

    async def receive() -> dict[str, Any]:
        """The shortest message there is."""
        return {"type": "http.request"}

    assert await read(receive, 0, 1) == b""


async def test_a_body_that_ends_early_is_refused() -> None:
    """The client may still be listening: it is told."""
    with pytest.raises(NightsafeError) as refused:
        await read(Line(b"x", ends=False), 10, 1)

    assert refused.value.code is Code.BODY_UNREADABLE


async def test_standing_still_is_bounded() -> None:
    """Each part may take its time, but no longer."""

    async def receive() -> dict[str, Any]:
        """Nothing, for ever."""
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
async def test_a_body_nobody_wanted_is_let_go(
    headers: list[tuple[bytes, bytes]],
    parts: list[bytes],
    ends: bool,  # noqa: FBT001
    kept: bool,  # noqa: FBT001
) -> None:
    """It is read to its end, unless it has none, the client waits to be asked for it, or it is past all bounds."""
    line = Line(*parts, ends=ends)

    assert kept is await Incoming({"headers": headers}, line).discard()
    assert line.asked < 20


async def test_the_rest_of_a_body_is_let_go() -> None:
    """What was begun is read on, whatever was announced; what was finished is not asked for again."""
    line = Line(b"x", b"y", b"z")
    incoming = Incoming({"headers": [(b"expect", b"100-continue")]}, line)
    await incoming()

    assert await incoming.discard()
    assert await incoming.discard()
    assert line.asked == 3
