"""A sealed value opens only unaltered, in its own place and with its own keys."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.proofs import prove, proven_record, signed_record

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing import Context, Suite
from nightsafe.sealing.groups.derivation import NONCE, group_info, value_cipher
from nightsafe.sealing.groups.sealer import GroupSealer
from nightsafe.sealing.interfaces import Opener
from nightsafe.sealing.opener import RecordOpener
from nightsafe.sealing.padding import MAX_VALUE, pad
from nightsafe.sealing.proven_record import ProvenRecord, put_digest
from nightsafe.sealing.record import SealedValue
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import HPKE
from nightsafe.sealing.sealer import RingSealer, SigningSealer
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.secret_value import SecretValue

Put = Callable[[Context, bytes], bytes]
Stored = Callable[[Context, SecretValue], bytes]

FIELDS = [field.name for field in msgspec.structs.fields(Context)]
texts = st.text(max_size=20)
contexts = st.builds(
    Context, account_id=texts, namespace=texts, script=texts, name=texts, kind=texts, public=st.binary(max_size=20)
)


def assert_refused(opener: Opener, context: Context, record: bytes) -> None:
    """Check that the record is refused with the one error, without a cause that would say more."""
    with pytest.raises(NightsafeError) as caught:
        opener.open(context, record)
    assert (caught.value.code, caught.value.problems[0].detail) == (Code.CANNOT_OPEN, "cannot open")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@given(context=contexts, value=st.binary(max_size=3000))
def test_a_sealed_value_opens_to_the_same_value(
    stored: Stored, opener: RecordOpener, context: Context, value: bytes
) -> None:
    """Any value in any place opens to the same value, the empty one too."""
    assert value == opener.open(context, stored(context, SecretValue(value))).reveal()


def test_a_value_of_1_mib_is_sealed_and_opened(
    sealer: SigningSealer, stored: Stored, opener: RecordOpener, context: Context
) -> None:
    """1 MiB is sealed and opened; one byte more is refused."""
    value = bytes(range(256)) * (MAX_VALUE // 256)
    assert value == opener.open(context, stored(context, SecretValue(value))).reveal()
    with pytest.raises(NightsafeError) as caught:
        sealer.seal(context, SecretValue(value + b"x"))
    assert Code.INVALID is caught.value.code


def test_the_padded_copy_is_overwritten(
    unsigned: RingSealer | GroupSealer, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After sealing, the buffer with the padded value holds zeros."""
    buffers: list[bytearray] = []

    def kept(value: bytes) -> bytearray:
        buffers.append(pad(value))
        return buffers[0]

    monkeypatch.setattr("nightsafe.sealing.sealer.pad", kept)
    monkeypatch.setattr("nightsafe.sealing.groups.sealer.pad", kept)
    unsigned.seal(context, SecretValue(b"x"))
    assert buffers == [bytearray(64)]


def test_short_values_have_records_of_one_length(stored: Stored, context: Context) -> None:
    """Every value of up to 63 bytes makes a record of the same length."""
    lengths = {len(stored(context, SecretValue(bytes(size)))) for size in (0, 1, 31, 63)}
    assert len(lengths) == 1


def test_sealing_twice_gives_two_sealed_values(sealer: SigningSealer, context: Context) -> None:
    """Equal values are sealed differently: the value id and the ciphertext are new each time."""
    sealed = [SealedValue.parse(sealer.seal(context, SecretValue(b"same"))) for _ in range(20)]
    assert 20 == len({item.value_id for item in sealed}) == len({item.body for item in sealed})


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_of_the_context_binds(stored: Stored, opener: RecordOpener, context: Context, field: str) -> None:
    """A record does not open when any one field differs, even by one character."""
    record = stored(context, SecretValue(b"x"))
    value: Any = getattr(context, field)
    more = value + ("x" if isinstance(value, str) else b"x")
    assert_refused(opener, msgspec.structs.replace(context, **{field: more}), record)
    assert_refused(opener, msgspec.structs.replace(context, **{field: value[:-1]}), record)


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_binds_the_seal_itself(
    unsigned: RingSealer | GroupSealer, put: Put, opener: RecordOpener, context: Context, field: str
) -> None:
    """A sealed value that the node signs for another place does not open there."""
    sealed = unsigned.seal(context, SecretValue(b"x"))
    value: Any = getattr(context, field)
    other = msgspec.structs.replace(context, **{field: value + value})
    assert_refused(opener, other, put(other, sealed))


@given(ours=contexts, theirs=contexts)
def test_a_record_does_not_open_elsewhere(
    stored: Stored, opener: RecordOpener, ours: Context, theirs: Context
) -> None:
    """A record does not open in any other place."""
    record = stored(ours, SecretValue(b"x"))
    if ours == theirs:
        assert opener.open(theirs, record).reveal() == b"x"
    else:
        assert_refused(opener, theirs, record)


def test_every_flipped_bit_is_refused(stored: Stored, opener: RecordOpener, context: Context) -> None:
    """A record with any one bit changed is refused, header and signature included."""
    record = stored(context, SecretValue(b"x"))
    for position in range(len(record)):
        altered = bytearray(record)
        altered[position] ^= 1 << (position % 8)
        assert_refused(opener, context, bytes(altered))


@pytest.mark.parametrize("position", [0, 2, 4])
def test_every_flipped_bit_is_refused_in_a_group(
    sealer: SigningSealer, signing_key: SigningKey, opener: RecordOpener, context: Context, position: int
) -> None:
    """A record that was put with others opens, and is refused with any one bit changed, its proof's path included."""
    sealed = sealer.seal(context, SecretValue(b"x"))
    digests = [bytes([number]) * 32 for number in range(5)]
    digests[position] = put_digest(context.record_digest(sealed), 7)
    record = ProvenRecord.join(7, prove(signing_key, digests)[position], sealed)
    assert opener.open(context, record).reveal() == b"x"
    for at in range(len(record)):
        altered = bytearray(record)
        altered[at] ^= 1 << (at % 8)
        assert_refused(opener, context, bytes(altered))


@settings(max_examples=examples(50))
@given(data=st.data())
def test_every_flipped_bit_under_a_good_signature_is_refused(
    unsigned: RingSealer | GroupSealer, put: Put, opener: RecordOpener, context: Context, data: st.DataObject
) -> None:
    """A sealed value that is altered and then signed again by the node does not open."""
    altered = bytearray(unsigned.seal(context, SecretValue(b"x")))
    altered[data.draw(st.integers(0, len(altered) - 1))] ^= data.draw(st.integers(1, 255))
    assert_refused(opener, context, put(context, bytes(altered)))


def test_every_truncation_is_refused(
    unsigned: RingSealer | GroupSealer, put: Put, opener: RecordOpener, context: Context
) -> None:
    """Neither a part of a record nor a record with one byte more opens, even when signed again."""
    sealed = unsigned.seal(context, SecretValue(b"x"))
    record = put(context, sealed)
    for size in range(len(record)):
        assert_refused(opener, context, record[:size])
    for size in range(0, len(sealed), 7):
        assert_refused(opener, context, put(context, sealed[:size]))
    assert_refused(opener, context, record + b"\x00")
    assert_refused(opener, context, put(context, sealed + b"\x00"))


@given(record=st.binary(max_size=2000))
def test_any_bytes_are_refused_as_a_record(opener: RecordOpener, context: Context, record: bytes) -> None:
    """Arbitrary bytes are refused with the same error."""
    assert_refused(opener, context, record)


@given(sealed=st.binary(max_size=2000))
def test_any_signed_bytes_are_refused(put: Put, opener: RecordOpener, context: Context, sealed: bytes) -> None:
    """Arbitrary bytes with a valid signature are refused."""
    assert_refused(opener, context, put(context, sealed))


@given(body=st.binary(min_size=80, max_size=2000))
def test_any_body_is_refused(
    ring: PrivateRing, put: Put, opener: RecordOpener, context: Context, body: bytes
) -> None:
    """Arbitrary bytes after a valid header, with a valid signature, are refused."""
    key = ring.keys[0]
    sealed = SealedValue(key.public.suite, key.id, bytes(16), body.ljust(key.public.suite.enc_size + 80, b"\x00"))
    assert_refused(opener, context, put(context, sealed.pack()))


@given(data=st.binary(max_size=3000))
def test_any_group_is_refused(
    ring: PrivateRing, put: Put, opener: RecordOpener, context: Context, data: bytes
) -> None:
    """Arbitrary bytes as a group and a body, in a valid layout with a valid signature, are refused."""
    key, size = ring.keys[0], 64 + ring.keys[0].public.suite.enc_size
    group, body = data[:size].ljust(size, b"\x00"), data[size:].ljust(80, b"\x00")
    sealed = SealedValue(key.public.suite, key.id, bytes(16), body, group)
    assert_refused(opener, context, put(context, sealed.pack()))


wrongly_padded = st.binary(max_size=200).map(lambda data: data.rstrip(b"\x80\x00").ljust(256, b"\x00"))


@settings(max_examples=examples(50))
@given(padded=wrongly_padded)
def test_wrong_padding_is_refused(
    ring: PrivateRing, put: Put, opener: RecordOpener, context: Context, padded: bytes
) -> None:
    """A record that is sealed and signed correctly, but padded wrongly, is refused."""
    key = ring.keys[0].public
    body = HPKE[key.suite].encrypt(padded, key.loaded, context.info(bytes(16), key.id))
    sealed = SealedValue(key.suite, key.id, bytes(16), body)
    assert_refused(opener, context, put(context, sealed.pack()))


@settings(max_examples=examples(50))
@given(padded=wrongly_padded)
def test_wrong_padding_is_refused_in_a_group(
    ring: PrivateRing, put: Put, opener: RecordOpener, context: Context, padded: bytes
) -> None:
    """A value of a group that is sealed and signed correctly, but padded wrongly, is refused."""
    key, info = ring.keys[0].public, context.grouped_info(bytes(16), ring.keys[0].id, bytes(16))
    group = bytes(16) + HPKE[key.suite].encrypt(bytes(32), key.loaded, group_info(key.id, bytes(16)))
    body = value_cipher(SecretValue(bytes(32)), info).encrypt(NONCE, padded, None)
    sealed = SealedValue(key.suite, key.id, bytes(16), body, group)
    assert_refused(opener, context, put(context, sealed.pack()))


@pytest.mark.parametrize("suite", Suite)
def test_another_ring_does_not_open(stored: Stored, signing_key: SigningKey, context: Context, suite: Suite) -> None:
    """A delivery node with other keys refuses the record."""
    stranger = RecordOpener(VerifyKeys([signing_key.verify_key]), PrivateRing.generate(suite))
    assert_refused(stranger, context, stored(context, SecretValue(b"x")))


def test_another_suite_under_the_same_key_id_is_refused(
    ring: PrivateRing, put: Put, opener: RecordOpener, context: Context
) -> None:
    """A record whose suite differs from the suite of its key is refused."""
    other = next(suite for suite in Suite if suite is not ring.keys[0].public.suite)
    sealed = SealedValue(other, ring.keys[0].id, bytes(16), bytes(other.enc_size + 80))
    assert_refused(opener, context, put(context, sealed.pack()))


@pytest.mark.parametrize("form", [proven_record, signed_record])
def test_another_signer_is_refused(
    sealer: SigningSealer, opener: RecordOpener, context: Context, form: Callable[[SigningKey, Context, bytes], bytes]
) -> None:
    """A record sealed with the public ring but signed by another key is refused."""
    assert_refused(opener, context, form(SigningKey.generate(), context, sealer.seal(context, SecretValue(b"x"))))


def test_an_unsigned_sealed_value_is_refused(
    unsigned: RingSealer | GroupSealer, opener: RecordOpener, context: Context
) -> None:
    """A sealed value without a signature is refused."""
    assert_refused(opener, context, unsigned.seal(context, SecretValue(b"x")))


def test_several_signers_can_be_trusted(
    ring: PrivateRing, sealer: SigningSealer, signing_key: SigningKey, context: Context
) -> None:
    """While a signing key is being replaced, records signed by either key open."""
    new = SigningKey.generate()
    opener = RecordOpener(VerifyKeys([new.verify_key, signing_key.verify_key]), ring)
    sealed = sealer.seal(context, SecretValue(b"x"))
    for form in (proven_record, signed_record):
        for key in (signing_key, new):
            assert opener.open(context, form(key, context, sealed)).reveal() == b"x"


def test_a_name_that_is_not_unicode_is_refused(
    sealer: SigningSealer, stored: Stored, opener: RecordOpener, context: Context
) -> None:
    """A name with a lone surrogate is refused by the sealer and by the opener, each with its own code."""
    broken = msgspec.structs.replace(context, name="\ud800")
    with pytest.raises(NightsafeError) as caught:
        sealer.seal(broken, SecretValue(b"x"))
    assert Code.INVALID is caught.value.code
    assert_refused(opener, broken, stored(context, SecretValue(b"x")))
