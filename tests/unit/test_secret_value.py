"""Secret values: they are never shown, and can be overwritten."""

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
def test_a_value_is_revealed_unchanged(plaintext: bytes) -> None:
    """`reveal` returns the value unchanged, and `len` its length in bytes."""
    value = SecretValue(plaintext)

    assert (plaintext, len(plaintext)) == (value.reveal(), len(value))


@pytest.mark.parametrize("form", FORMATS)
def test_no_format_shows_a_value(form: str) -> None:
    """Every format shows the same text for every value, alone or in a binding."""
    value = SecretValue(PLANTED)
    bindings = [SecretText("A", value), SecretKey("A", "HKDF", "raw", (), value)]

    assert (form.format(SecretValue(b"")) if "{" in form else form % SecretValue(b"")) == (
        form.format(value) if "{" in form else form % value
    )
    for shown in (value, bindings, {"a": value}, (value,)):
        assert "planted" not in (form.format(shown) if "{" in form and ":" not in form else repr(shown))
    assert string.Template("$v").substitute(v=value) == "SecretValue(hidden)"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_value_cannot_be_pickled(protocol: int) -> None:
    """No protocol pickles a value, and the refusal does not show it."""
    with pytest.raises(TypeError, match="cannot be pickled") as refusal:
        pickle.dumps(SecretValue(PLANTED), protocol)

    assert "planted" not in repr(refusal.value)


@pytest.mark.parametrize("copier", [copy.copy, copy.deepcopy])
def test_a_value_cannot_be_copied(copier: object) -> None:
    """A value cannot be copied, so only one buffer must be overwritten."""
    with pytest.raises(TypeError):
        copier(SecretValue(PLANTED))  # type: ignore[operator]


def test_a_value_cannot_be_encoded() -> None:
    """JSON encodes neither a value nor a binding that contains one."""
    for held in (SecretValue(PLANTED), SecretText("A", SecretValue(PLANTED))):
        with pytest.raises(TypeError):
            msgspec.json.encode(held)


def test_a_value_cannot_be_compared() -> None:
    """Values are never equal, because the time of a comparison would reveal them."""
    assert SecretValue(PLANTED) != SecretValue(PLANTED)
    same: object = SecretValue(PLANTED)
    assert same != PLANTED


def test_a_value_takes_no_attributes() -> None:
    """A value has no `__dict__` and takes no attributes."""
    assert not hasattr(SecretValue(PLANTED), "__dict__")


@given(st.binary(min_size=1))
def test_wiping_overwrites_the_buffer(plaintext: bytes) -> None:
    """Wiping overwrites the buffer with zeros before it is released; wiping twice is harmless."""
    value = SecretValue(plaintext)
    watched: list[bytes] = []

    class Buffer(bytearray):
        """Records its content when it is cleared."""

        def clear(self) -> None:
            """Record the content."""
            watched.append(bytes(self))
            super().clear()

    value._buffer = Buffer(plaintext)
    value.wipe()
    value.wipe()

    assert [bytes(len(plaintext)), b""] == watched
    assert b"" == value.reveal()


def test_a_deleted_value_is_wiped() -> None:
    """A value that is deleted is wiped, so a refused request's values need no handling."""
    buffer = bytearray(PLANTED)
    value = SecretValue(b"")
    value._buffer = buffer

    del value

    assert bytearray() == buffer


def test_a_refused_construction_raises_only_its_error() -> None:
    """A refused construction raises only its own error."""
    with pytest.raises(TypeError):
        SecretValue("text")  # type: ignore[arg-type]


def test_a_value_keeps_its_own_copy() -> None:
    """A value does not change when its source changes."""
    source = bytearray(PLANTED)
    value = SecretValue(source)
    source[:] = bytes(len(source))

    assert value.reveal() == PLANTED
