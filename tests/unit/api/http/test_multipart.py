"""A form is read into its parts, wherever it is split, and in memory alone."""

import asyncio
import tempfile
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.unit.api.tools.driver import File, form, form_type

from nightsafe.api.http.multipart import MAX_PARTS, FormPart, parse_form
from nightsafe.errors import Code, NightsafeError

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\'), min_size=1, max_size=8)
FILES = st.lists(
    st.builds(File, NAMES, st.binary(max_size=40), st.sampled_from(["", "text/plain", "a/b; c=d"]), st.booleans()),
    min_size=1,
    max_size=5,
)


async def in_parts(body: bytes, size: int) -> AsyncIterator[bytes]:
    """A body as it comes over a connection."""
    for at in range(0, len(body), size):
        yield body[at : at + size]


def parse(body: bytes, size: int = 1 << 20, content_type: bytes = form_type()[1]) -> list[FormPart]:
    """The parts of a form that comes in pieces of this size."""
    return asyncio.run(parse_form(content_type, in_parts(body, size)))


@given(FILES, st.integers(1, 60))
@settings(deadline=None, max_examples=examples(150))
def test_parts_come_through(files: list[File], size: int) -> None:
    """Names, file names, types and bodies are those that were sent, in their order."""
    sent = [FormPart(one.name, one.name if one.as_file else None, one.content_type, one.body) for one in files]

    assert sent == parse(form(*files), size)


@pytest.mark.parametrize(
    "boundary", ["x", '"quoted boundary"', "'()+_,-./:=?", "-" * 60, "0" * 70], ids=lambda text: text[:10]
)
def test_a_boundary_may_be_odd(boundary: str) -> None:
    """Whatever RFC 2046 allows, quoted or not."""
    body = form(File("a"), boundary=boundary.strip('"'))

    assert len(parse(body, content_type=f"Multipart/Form-Data; charset=x; boundary={boundary}".encode())) == 1


def test_what_comes_after_the_end_is_no_part() -> None:
    """An epilogue is passed over."""
    assert len(parse(form(File("a")) + b"\r\nanything" + form(File("b")))) == 1


@pytest.mark.parametrize("parts", [MAX_PARTS, MAX_PARTS + 1])
def test_parts_are_counted(parts: int) -> None:
    """One more than may be is refused as it begins."""
    body = form(*(File("a", b"") for _ in range(parts)))
    if parts <= MAX_PARTS:
        assert parts == len(parse(body))
        return
    with pytest.raises(NightsafeError, match="more than 1001 parts") as refused:
        parse(body)
    assert refused.value.code == Code.SCRIPT_UNPARSABLE


def test_no_part_touches_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part may carry secrets: however large, it stays in memory."""

    def refuse(*_: object, **__: object) -> None:
        """Must not be called."""
        raise AssertionError

    for name in ("TemporaryFile", "NamedTemporaryFile", "SpooledTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, refuse)
    monkeypatch.setattr("builtins.open", refuse)
    body = bytes(4 * 2**20)

    assert [body] == [part.body for part in parse(form(File("a", body)), 2**16)]
