"""A secret value shows itself to nobody, and is gone when it is wiped."""

import copy
import pickle
import string

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightsafe.bindings.model import SecretKey, SecretText
from nightsafe.secret_value import SecretValue

PLANTED = b"planted-value"
FORMATS = ["{}", "{!r}", "{!s}", "{!a}", "{:>20}", "{:x}", "%s", "%r", "%a"]


@given(st.binary())
def test_it_reveals_what_went_in(plaintext: bytes) -> None:
    """The value comes out whole, and its length is told in bytes."""
    value = SecretValue(plaintext)

    assert (plaintext, len(plaintext)) == (value.reveal(), len(value))


@pytest.mark.parametrize("form", FORMATS)
def test_no_way_of_printing_shows_it(form: str) -> None:
    """Every format gives the same words, for every value, alone or inside a binding."""
    value = SecretValue(PLANTED)
    bindings = [SecretText("A", value), SecretKey("A", "HKDF", "raw", (), value)]

    assert (form.format(SecretValue(b"")) if "{" in form else form % SecretValue(b"")) == (
        form.format(value) if "{" in form else form % value
    )
    for shown in (value, bindings, {"a": value}, (value,)):
        assert "planted" not in (form.format(shown) if "{" in form and ":" not in form else repr(shown))
    assert string.Template("$v").substitute(v=value) == "SecretValue(hidden)"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_cannot_be_pickled(protocol: int) -> None:
    """No protocol takes it, and the refusal does not show it."""
    with pytest.raises(TypeError, match="cannot be pickled") as refusal:
        pickle.dumps(SecretValue(PLANTED), protocol)

    assert "planted" not in repr(refusal.value)


@pytest.mark.parametrize("copier", [copy.copy, copy.deepcopy])
def test_it_cannot_be_copied(copier: object) -> None:
    """There is one buffer to wipe, and no other."""
    with pytest.raises(TypeError):
        copier(SecretValue(PLANTED))  # type: ignore[operator]


def test_it_cannot_be_encoded() -> None:
    """JSON takes neither the value nor a binding that holds it."""
    for held in (SecretValue(PLANTED), SecretText("A", SecretValue(PLANTED))):
        with pytest.raises(TypeError):
            msgspec.json.encode(held)


def test_it_cannot_be_compared() -> None:
    """Equality would compare in a time that tells of the value."""
    assert SecretValue(PLANTED) != SecretValue(PLANTED)
    same: object = SecretValue(PLANTED)
    assert same != PLANTED


def test_it_has_nowhere_else_to_keep_it() -> None:
    """No attribute can be added, and there is no dictionary of them."""
    assert not hasattr(SecretValue(PLANTED), "__dict__")


@given(st.binary(min_size=1))
def test_wiping_overwrites_the_buffer(plaintext: bytes) -> None:
    """The bytes are zero before the buffer is let go; to wipe twice does no harm."""
    value = SecretValue(plaintext)
    watched: list[bytes] = []

    class Buffer(bytearray):
        """Notes what it holds when it is emptied."""

        def clear(self) -> None:
            """Note it."""
            watched.append(bytes(self))
            super().clear()

    value._buffer = Buffer(plaintext)
    value.wipe()
    value.wipe()

    assert [bytes(len(plaintext)), b""] == watched
    assert b"" == value.reveal()


def test_a_value_that_is_let_go_is_wiped() -> None:
    """Whoever refuses a request need not remember the values that came with it."""
    buffer = bytearray(PLANTED)
    value = SecretValue(b"")
    value._buffer = buffer

    del value

    assert bytearray() == buffer


def test_what_is_no_value_leaves_nothing_to_wipe() -> None:
    """A refused construction ends in its own error alone."""
    with pytest.raises(TypeError):
        SecretValue("text")  # type: ignore[arg-type]


def test_it_keeps_a_copy_of_its_own() -> None:
    """What becomes of the bytes it was made from does not matter to it."""
    source = bytearray(PLANTED)
    value = SecretValue(source)
    source[:] = bytes(len(source))

    assert value.reveal() == PLANTED
