"""Padding: it hides lengths, loses nothing and is checked."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.sealing.padding import MAX_PADDED, MAX_VALUE, pad, padded_size, unpad


@given(st.binary(max_size=5000))
@example(b"")
@example(b"\x80")
@example(b"\x00" * 63)
@example(b"\x80\x00" * 600)
def test_unpad_returns_the_padded_value(value: bytes) -> None:
    """Any value is unchanged after padding and unpadding, even if it looks like padding."""
    assert value == unpad(bytes(pad(value)))


def test_a_value_above_1_mib_is_refused() -> None:
    """A value has at most 1 MiB, and its padded form is then the longest possible."""
    assert len(pad(bytes(MAX_VALUE))) == MAX_PADDED
    with pytest.raises(NightsafeError) as caught:
        pad(bytes(MAX_VALUE + 1))
    assert Code.INVALID is caught.value.code


@pytest.mark.parametrize(
    ("size", "padded"),
    [(1, 64), (64, 64), (65, 128), (1024, 1024), (1025, 1088), (2048, 2048), (2049, 2176), (1 << 20, 1 << 20)],
)
def test_padded_sizes_are_as_the_format_says(size: int, padded: int) -> None:
    """Values are padded in 64-byte steps up to 1 KiB, and then by Padmé."""
    assert padded == padded_size(size)


@given(st.integers(1, MAX_VALUE))
def test_padded_sizes_grow_and_waste_little(size: int) -> None:
    """A padded length stays the same when padded, never shrinks, and above 1 KiB adds at most an eighth."""
    padded = padded_size(size)
    assert padded == padded_size(padded)
    assert size <= padded <= padded_size(size + 1)
    assert padded - size < 64 or padded <= size * 9 // 8


@given(st.binary(max_size=3000))
@example(b"")
@example(bytes(64))
@example(b"\x80" + bytes(127))
@example(b"a" * 63 + b"\x81")
def test_only_correct_padding_is_accepted(padded: bytes) -> None:
    """Any bytes are either exactly a padded value or refused with the same error."""
    again, refusals = padded, []
    try:
        again = bytes(pad(unpad(padded)))
    except NightsafeError as error:
        refusals = [*error.problems]
    assert padded == again
    assert refusals in ([], [Problem(Code.CANNOT_OPEN, "cannot open")])
