"""Parsing of forms into parts: in pieces of any size, and in memory only."""

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


async def in_pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    """Yield the body in pieces of this size."""
    for at in range(0, len(body), size):
        yield body[at : at + size]


def parse(body: bytes, size: int = 1 << 20, content_type: bytes = form_type()[1]) -> list[FormPart]:
    """Return the parts of a form that arrives in pieces of this size."""
    return asyncio.run(parse_form(content_type, in_pieces(body, size)))


@given(FILES, st.integers(1, 60))
@settings(deadline=None, max_examples=examples(150))
def test_parts_are_parsed_unchanged(files: list[File], size: int) -> None:
    """Parts keep their order, names, file names, content types and bodies."""
    sent = [FormPart(file.name, file.name if file.as_file else None, file.content_type, file.body) for file in files]

    assert sent == parse(form(*files), size)


@pytest.mark.parametrize(
    "boundary", ["x", '"quoted boundary"', "'()+_,-./:=?", "-" * 60, "0" * 70], ids=lambda text: text[:10]
)
def test_any_boundary_of_rfc_2046_is_accepted(boundary: str) -> None:
    """Every boundary that RFC 2046 allows is accepted, quoted or not."""
    body = form(File("a"), boundary=boundary.strip('"'))

    assert len(parse(body, content_type=f"Multipart/Form-Data; charset=x; boundary={boundary}".encode())) == 1


def test_an_epilogue_is_ignored() -> None:
    """Bytes after the closing boundary are ignored."""
    assert len(parse(form(File("a")) + b"\r\nanything" + form(File("b")))) == 1


@pytest.mark.parametrize("parts", [MAX_PARTS, MAX_PARTS + 1])
def test_parts_over_the_limit_are_refused(parts: int) -> None:
    """A form with one part more than the limit is refused."""
    body = form(*(File("a", b"") for _ in range(parts)))
    if parts <= MAX_PARTS:
        assert parts == len(parse(body))
        return
    with pytest.raises(NightsafeError, match="more than 1001 parts") as refused:
        parse(body)
    assert refused.value.code == Code.SCRIPT_UNPARSABLE


def test_no_part_is_written_to_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part is kept in memory however large it is, because it may contain secrets."""

    def refuse(*_: object, **__: object) -> None:
        """Must not be called."""
        raise AssertionError

    for name in ("TemporaryFile", "NamedTemporaryFile", "SpooledTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, refuse)
    monkeypatch.setattr("builtins.open", refuse)
    body = bytes(4 * 2**20)

    assert [body] == [part.body for part in parse(form(File("a", body)), 2**16)]
