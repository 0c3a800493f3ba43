"""Signing of client-sealed values: only values that can be opened later are accepted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing import Context, Suite
from nightsafe.sealing.opener import RecordOpener
from nightsafe.sealing.record import SealedValue
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.sealer import RingSealer, SigningSealer
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.secret_value import SecretValue


def detail_of_refusal(sealer: SigningSealer, context: Context, sealed: bytes) -> str:
    """Return the message of the refusal; check that its code is INVALID."""
    with pytest.raises(NightsafeError) as caught:
        sealer.countersign(context, sealed)
    assert Code.INVALID is caught.value.code
    return caught.value.problems[0].detail


def test_a_clients_value_opens(
    ring: PrivateRing, sealer: SigningSealer, opener: RecordOpener, context: Context
) -> None:
    """A value that a client sealed with the public ring opens after the node signed it."""
    sealed = RingSealer(ring.public()).seal(context, SecretValue(b"client"))
    assert opener.open(context, sealer.countersign(context, sealed)).reveal() == b"client"


def test_active_keys_are_accepted_and_retired_ones_refused(
    ring: PrivateRing, signing_key: SigningKey, context: Context
) -> None:
    """A value sealed to an active key is accepted, one sealed to a retired key refused; stored values always open."""
    old = ring.public().primary.id
    sealed = RingSealer(ring.public()).seal(context, SecretValue(b"x"))
    rotated = ring.rotated()
    record = SigningSealer(rotated.public(), signing_key).countersign(context, sealed)
    retired = rotated.retired(old)
    detail = detail_of_refusal(SigningSealer(retired.public(), signing_key), context, sealed)
    assert old in detail
    assert retired.public().primary.id in detail
    opener = RecordOpener(VerifyKeys([signing_key.verify_key]), retired)
    assert opener.open(context, record).reveal() == b"x"


def test_a_foreign_key_is_refused(sealer: SigningSealer, context: Context) -> None:
    """A key that is not in the ring is named in the refusal."""
    stranger = PrivateRing.generate().public()
    detail = detail_of_refusal(sealer, context, RingSealer(stranger).seal(context, SecretValue(b"x")))
    assert stranger.primary.id in detail


def test_a_wrong_suite_is_refused(ring: PrivateRing, sealer: SigningSealer, context: Context) -> None:
    """A key's id with another suite is refused."""
    other = next(suite for suite in Suite if suite is not ring.keys[0].public.suite)
    sealed = SealedValue(other, ring.keys[0].id, bytes(16), bytes(other.enc_size + 80))
    detail_of_refusal(sealer, context, sealed.pack())


@given(sealed=st.binary(max_size=1500))
def test_any_bytes_are_refused_as_a_sealed_value(sealer: SigningSealer, context: Context, sealed: bytes) -> None:
    """Arbitrary bytes are refused as the client's mistake."""
    detail_of_refusal(sealer, context, sealed)


def test_a_record_is_not_signed_again(sealer: SigningSealer, context: Context) -> None:
    """A stored record is refused as a sealed value."""
    detail_of_refusal(sealer, context, sealer.seal(context, SecretValue(b"x")))
