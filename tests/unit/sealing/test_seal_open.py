"""What is sealed opens in its own place, with its own keys, unaltered; and in no other case."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing import Context, Suite
from nightsafe.sealing.opener import RecordOpener
from nightsafe.sealing.padding import MAX_VALUE, pad
from nightsafe.sealing.record import Record, SealedValue
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import HPKE
from nightsafe.sealing.sealer import RingSealer, SigningSealer
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.secret_value import SecretValue

FIELDS = [field.name for field in msgspec.structs.fields(Context)]
texts = st.text(max_size=20)
contexts = st.builds(
    Context, account_id=texts, namespace=texts, script=texts, name=texts, kind=texts, public=st.binary(max_size=20)
)


def assert_refused(opener: RecordOpener, context: Context, record: bytes) -> None:
    """The one flat error, with nothing behind it that would tell more."""
    with pytest.raises(NightsafeError) as caught:
        opener.open(context, record)
    assert (caught.value.code, caught.value.problems[0].detail) == (Code.CANNOT_OPEN, "cannot open")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@given(context=contexts, value=st.binary(max_size=3000))
def test_opens_to_what_was_sealed(
    sealer: SigningSealer, opener: RecordOpener, context: Context, value: bytes
) -> None:
    """For any place and value, the empty one too."""
    assert value == opener.open(context, sealer.seal(context, SecretValue(value))).reveal()


def test_largest_value(sealer: SigningSealer, opener: RecordOpener, context: Context) -> None:
    """1 MiB goes in and comes out; one byte more is refused when sealing."""
    value = bytes(range(256)) * (MAX_VALUE // 256)
    assert value == opener.open(context, sealer.seal(context, SecretValue(value))).reveal()
    with pytest.raises(NightsafeError) as caught:
        sealer.seal(context, SecretValue(value + b"x"))
    assert Code.INVALID is caught.value.code


def test_the_padded_copy_is_wiped(sealer: SigningSealer, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """After sealing, the buffer the value was padded in holds zeros."""
    buffers: list[bytearray] = []

    def kept(value: bytes) -> bytearray:
        buffers.append(pad(value))
        return buffers[0]

    monkeypatch.setattr("nightsafe.sealing.sealer.pad", kept)
    sealer.seal(context, SecretValue(b"x"))
    assert buffers == [bytearray(64)]


def test_lengths_do_not_show(sealer: SigningSealer, context: Context) -> None:
    """Every value of up to 63 bytes makes a record of one length."""
    lengths = {len(sealer.seal(context, SecretValue(bytes(size)))) for size in (0, 1, 31, 63)}
    assert len(lengths) == 1


def test_sealing_twice_gives_two_records(sealer: SigningSealer, context: Context) -> None:
    """Equal values cannot be told by equal records: value id and ciphertext are new each time."""
    records = [Record.parse(sealer.seal(context, SecretValue(b"same"))) for _ in range(20)]
    sealed = [SealedValue.parse(record.sealed) for record in records]
    assert 20 == len({item.value_id for item in sealed}) == len({item.body for item in sealed})


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_of_the_context_binds(
    sealer: SigningSealer, opener: RecordOpener, context: Context, field: str
) -> None:
    """A record does not open when any one field differs, were it by one character."""
    record = sealer.seal(context, SecretValue(b"x"))
    value: Any = getattr(context, field)
    more = value + ("x" if isinstance(value, str) else b"x")
    assert_refused(opener, msgspec.structs.replace(context, **{field: more}), record)
    assert_refused(opener, msgspec.structs.replace(context, **{field: value[:-1]}), record)


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_binds_the_seal_itself(
    ring: PrivateRing, signing_key: SigningKey, opener: RecordOpener, context: Context, field: str
) -> None:
    """Even when the node signs a sealed value for another place, it does not open there."""
    sealed = RingSealer(ring.public()).seal(context, SecretValue(b"x"))
    value: Any = getattr(context, field)
    other = msgspec.structs.replace(context, **{field: value + value})
    assert_refused(opener, other, signing_key.sign(other, sealed))


@given(ours=contexts, theirs=contexts)
def test_a_record_does_not_open_elsewhere(
    sealer: SigningSealer, opener: RecordOpener, ours: Context, theirs: Context
) -> None:
    """Moved to any other place it is refused."""
    record = sealer.seal(ours, SecretValue(b"x"))
    if ours == theirs:
        assert opener.open(theirs, record).reveal() == b"x"
    else:
        assert_refused(opener, theirs, record)


def test_every_flipped_bit_is_refused(sealer: SigningSealer, opener: RecordOpener, context: Context) -> None:
    """No single bit of a record may change, header and signature included."""
    record = sealer.seal(context, SecretValue(b"x"))
    for position in range(len(record)):
        altered = bytearray(record)
        altered[position] ^= 1 << (position % 8)
        assert_refused(opener, context, bytes(altered))


@settings(max_examples=examples(50))
@given(data=st.data())
def test_every_flipped_bit_under_a_good_signature_is_refused(
    ring: PrivateRing, signing_key: SigningKey, opener: RecordOpener, context: Context, data: st.DataObject
) -> None:
    """The seal holds by itself: altered and then signed again by the node, it does not open."""
    altered = bytearray(RingSealer(ring.public()).seal(context, SecretValue(b"x")))
    altered[data.draw(st.integers(0, len(altered) - 1))] ^= data.draw(st.integers(1, 255))
    assert_refused(opener, context, signing_key.sign(context, bytes(altered)))


def test_every_truncation_is_refused(
    ring: PrivateRing, signing_key: SigningKey, opener: RecordOpener, context: Context
) -> None:
    """No shorter part of a record opens, be it signed again, nor does one with a byte added."""
    sealed = RingSealer(ring.public()).seal(context, SecretValue(b"x"))
    record = signing_key.sign(context, sealed)
    for size in range(len(record)):
        assert_refused(opener, context, record[:size])
    for size in range(0, len(sealed), 7):
        assert_refused(opener, context, signing_key.sign(context, sealed[:size]))
    assert_refused(opener, context, record + b"\x00")
    assert_refused(opener, context, signing_key.sign(context, sealed + b"\x00"))


@given(record=st.binary(max_size=2000))
def test_any_bytes_are_refused(opener: RecordOpener, context: Context, record: bytes) -> None:
    """Arbitrary input gives the one error, signed or not."""
    assert_refused(opener, context, record)


@given(sealed=st.binary(max_size=2000))
def test_any_signed_bytes_are_refused(
    signing_key: SigningKey, opener: RecordOpener, context: Context, sealed: bytes
) -> None:
    """A good signature over nonsense does not help it."""
    assert_refused(opener, context, signing_key.sign(context, sealed))


@given(body=st.binary(min_size=80, max_size=2000))
def test_any_body_is_refused(
    ring: PrivateRing, signing_key: SigningKey, opener: RecordOpener, context: Context, body: bytes
) -> None:
    """Nonsense behind a right header, signed, is refused."""
    key = ring.keys[0]
    sealed = SealedValue(key.public.suite, key.id, bytes(16), body.ljust(key.public.suite.enc_size + 80, b"\x00"))
    assert_refused(opener, context, signing_key.sign(context, sealed.pack()))


@settings(max_examples=examples(50))
@given(padded=st.binary(max_size=200).map(lambda data: data.rstrip(b"\x80\x00").ljust(256, b"\x00")))
def test_wrong_padding_is_refused(
    ring: PrivateRing, signing_key: SigningKey, opener: RecordOpener, context: Context, padded: bytes
) -> None:
    """Properly sealed and signed, but not padded as the format says."""
    key = ring.keys[0].public
    body = HPKE[key.suite].encrypt(padded, key.loaded, context.info(bytes(16), key.id))
    sealed = SealedValue(key.suite, key.id, bytes(16), body)
    assert_refused(opener, context, signing_key.sign(context, sealed.pack()))


@pytest.mark.parametrize("suite", Suite)
def test_another_ring_does_not_open(
    sealer: SigningSealer, signing_key: SigningKey, context: Context, suite: Suite
) -> None:
    """A delivery node with other keys refuses."""
    stranger = RecordOpener(VerifyKeys([signing_key.verify_key]), PrivateRing.generate(suite))
    assert_refused(stranger, context, sealer.seal(context, SecretValue(b"x")))


def test_another_suite_under_the_same_key_id_is_refused(
    ring: PrivateRing, signing_key: SigningKey, opener: RecordOpener, context: Context
) -> None:
    """The suite a record names must be that of the key it names."""
    other = next(suite for suite in Suite if suite is not ring.keys[0].public.suite)
    sealed = SealedValue(other, ring.keys[0].id, bytes(16), bytes(other.enc_size + 80))
    assert_refused(opener, context, signing_key.sign(context, sealed.pack()))


def test_another_signer_is_refused(ring: PrivateRing, opener: RecordOpener, context: Context) -> None:
    """Whoever has the public ring can seal, but not vouch."""
    stranger = SigningSealer(ring.public(), SigningKey.generate())
    assert_refused(opener, context, stranger.seal(context, SecretValue(b"x")))


def test_unsigned_is_refused(ring: PrivateRing, opener: RecordOpener, context: Context) -> None:
    """A bare sealed value is no record."""
    assert_refused(opener, context, RingSealer(ring.public()).seal(context, SecretValue(b"x")))


def test_several_signers_can_be_trusted(
    ring: PrivateRing, sealer: SigningSealer, signing_key: SigningKey, context: Context
) -> None:
    """While a signing key is replaced, records by both open."""
    new = SigningKey.generate()
    opener = RecordOpener(VerifyKeys([new.verify_key, signing_key.verify_key]), ring)
    for vouching in (sealer, SigningSealer(ring.public(), new)):
        assert opener.open(context, vouching.seal(context, SecretValue(b"x"))).reveal() == b"x"


def test_text_that_is_not_unicode(sealer: SigningSealer, opener: RecordOpener, context: Context) -> None:
    """A lone surrogate in a name is refused on both sides, each with its own code."""
    broken = msgspec.structs.replace(context, name="\ud800")
    with pytest.raises(NightsafeError) as caught:
        sealer.seal(broken, SecretValue(b"x"))
    assert Code.INVALID is caught.value.code
    assert_refused(opener, broken, sealer.seal(context, SecretValue(b"x")))
