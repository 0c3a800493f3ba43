"""Layouts and encodings: each has one form, and no input breaks the parser."""

from collections.abc import Callable
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.sealing import Context, Suite, key_id_of
from nightsafe.sealing.encoding import encode
from nightsafe.sealing.padding import MAX_PADDED
from nightsafe.sealing.proven_record import PROVEN_MAGIC, ProvenRecord
from nightsafe.sealing.record import GROUPED_MAGIC, RECORD_MAGIC, SEALED_MAGIC, Record, SealedValue
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.sealer import SigningSealer
from nightsafe.secret_value import SecretValue

PROOF = bytes(8 + 64 + 32 + 16) + b"\0o"
"""A proof without a path."""

heads = st.sampled_from(
    [
        b"",
        SEALED_MAGIC,
        GROUPED_MAGIC,
        RECORD_MAGIC + b"\x01",
        RECORD_MAGIC + b"\x01" + bytes(72) + SEALED_MAGIC,
        RECORD_MAGIC + b"\x01" + bytes(72) + GROUPED_MAGIC,
        PROVEN_MAGIC + bytes(8),
        ProvenRecord.join(1, PROOF, SEALED_MAGIC),
        ProvenRecord.join(1, PROOF, GROUPED_MAGIC),
    ]
)
numbers = st.sampled_from([b"", b"\x01", b"\x02", b"\x03"])
almost = st.builds(lambda *parts: b"".join(parts), heads, numbers, st.binary(max_size=1500))
FLAT = Problem(Code.CANNOT_OPEN, "cannot open")
ids = st.binary(min_size=8, max_size=8).map(bytes.hex)


@given(almost)
@pytest.mark.parametrize("parse", [SealedValue.parse, Record.parse, ProvenRecord.parse])
def test_any_bytes_parse_to_themselves_or_are_refused(
    parse: Callable[[bytes], SealedValue | Record | ProvenRecord], data: bytes
) -> None:
    """Bytes that parse are packed to the same bytes; others are refused with the same error."""
    again, refusals = data, []
    try:
        again = parse(data).pack()
    except NightsafeError as error:
        refusals = [*error.problems]
    assert data == again
    assert refusals in ([], [FLAT])


@given(almost)
def test_key_id_of_any_bytes_is_hex_or_refused(data: bytes) -> None:
    """`key_id_of` returns 16 hex digits or refuses the bytes with the same error."""
    key_id, refusals = "0" * 16, []
    try:
        key_id = key_id_of(data)
    except NightsafeError as error:
        refusals = [*error.problems]
    assert len(key_id) == 16
    assert refusals in ([], [FLAT])


@given(st.sampled_from(Suite), ids, st.binary(min_size=16, max_size=16), st.integers(64, 2000))
def test_sealed_value_round_trips(suite: Suite, key_id: str, value_id: bytes, padded: int) -> None:
    """A packed sealed value parses to the same parts."""
    sealed = SealedValue(suite, key_id, value_id, bytes(suite.enc_size + padded + 16))
    grouped = SealedValue(suite, key_id, value_id, bytes(padded + 16), value_id + bytes(suite.enc_size + 48))
    for value in (sealed, grouped):
        assert value == SealedValue.parse(value.pack())
        assert padded == value.padded_size
    assert (b"", value_id) == (sealed.group_id, grouped.group_id)


@pytest.mark.parametrize("suite", Suite)
@pytest.mark.parametrize(("padded", "fits"), [(63, False), (64, True), (MAX_PADDED, True), (MAX_PADDED + 1, False)])
def test_a_sealed_value_has_length_limits(suite: Suite, padded: int, *, fits: bool) -> None:
    """A sealed value contains at least one padding step and at most the longest value."""
    sealed = SealedValue(suite, "00" * 8, bytes(16), bytes(suite.enc_size + padded + 16))
    grouped = SealedValue(suite, "00" * 8, bytes(16), bytes(padded + 16), bytes(suite.enc_size + 64))
    for value in (sealed, grouped):
        with nullcontext() if fits else pytest.raises(NightsafeError, match="cannot open"):
            SealedValue.parse(value.pack())


@pytest.mark.parametrize("size", [0, 4, 5, 12, 76, 77])
def test_a_record_without_a_sealed_value_is_refused(size: int) -> None:
    """A record that ends with or before its signature is refused."""
    whole = Record("00" * 8, bytes(64), b"x").pack()
    assert len(whole) == 78
    with pytest.raises(NightsafeError, match="cannot open"):
        Record.parse(whole[:size])


@pytest.mark.parametrize("size", [0, 4, 12, 13, 14, 134, 135, 136])
def test_a_proven_record_without_a_sealed_value_is_refused(size: int) -> None:
    """A record that ends with or before its proof is refused."""
    whole = ProvenRecord.join(1, PROOF, b"x")
    assert len(whole) == 137
    assert whole == ProvenRecord.parse(whole).pack()
    with pytest.raises(NightsafeError, match="cannot open"):
        ProvenRecord.parse(whole[:size])


def test_key_id_of_returns_the_primarys_id(context: Context, ring: PrivateRing, sealer: SigningSealer) -> None:
    """`key_id_of` returns a sealed value's key id without opening it."""
    assert ring.public().primary.id == key_id_of(sealer.seal(context, SecretValue(b"x")))


fields = st.lists(st.binary(max_size=6), min_size=2, max_size=4)


@given(fields, fields)
def test_encoding_is_injective(ours: list[bytes], theirs: list[bytes]) -> None:
    """Different lists of fields have different encodings, however the bytes are split."""
    assert (ours == theirs) == (encode(*ours) == encode(*theirs))


@given(st.text(max_size=6), st.text(max_size=6))
def test_a_character_cannot_move_between_fields(left: str, right: str) -> None:
    """Moving a character from the name to the script changes the encoding."""

    def info(script: str, name: str) -> bytes:
        place = Context(account_id="a", namespace="", script=script, name=name, kind="k")
        return place.info(bytes(16), "00" * 8)

    assert info(left + "x", right) != info(left, "x" + right)
