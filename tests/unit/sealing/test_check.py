"""Checks of client-sealed values: only values that can be opened later are accepted."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.proofs import proven_record

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing import Context, Suite
from nightsafe.sealing.groups.sealer import GroupSealer
from nightsafe.sealing.opener import RecordOpener
from nightsafe.sealing.record import SealedValue
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.sealer import RingSealer, SigningSealer
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.secret_value import SecretValue


def detail_of_refusal(sealer: SigningSealer, sealed: bytes) -> str:
    """Return the message of the refusal; check that its code is INVALID."""
    with pytest.raises(NightsafeError) as caught:
        sealer.check(sealed)
    assert Code.INVALID is caught.value.code
    return caught.value.problems[0].detail


def test_a_clients_value_opens(
    unsigned: RingSealer | GroupSealer,
    sealer: SigningSealer,
    opener: RecordOpener,
    context: Context,
    put: Callable[[Context, bytes], bytes],
) -> None:
    """A value of either version that a client sealed with the public ring is accepted, and opens after it was put."""
    sealed = unsigned.seal(context, SecretValue(b"client"))
    sealer.check(sealed)
    assert opener.open(context, put(context, sealed)).reveal() == b"client"


def test_active_keys_are_accepted_and_retired_ones_refused(
    unsigned: RingSealer | GroupSealer, ring: PrivateRing, signing_key: SigningKey, context: Context
) -> None:
    """A value sealed to an active key is accepted, one sealed to a retired key refused; stored values always open."""
    old = ring.public().primary.id
    sealed = unsigned.seal(context, SecretValue(b"x"))
    rotated = ring.rotated()
    SigningSealer(rotated.public(), signing_key).check(sealed)
    record = proven_record(signing_key, context, sealed)
    retired = rotated.retired(old)
    detail = detail_of_refusal(SigningSealer(retired.public(), signing_key), sealed)
    assert old in detail
    assert retired.public().primary.id in detail
    opener = RecordOpener(VerifyKeys([signing_key.verify_key]), retired)
    assert opener.open(context, record).reveal() == b"x"


def test_a_foreign_key_is_refused(sealer: SigningSealer, context: Context) -> None:
    """A key that is not in the ring is named in the refusal."""
    stranger = PrivateRing.generate().public()
    for foreign in (RingSealer(stranger), GroupSealer(stranger)):
        detail = detail_of_refusal(sealer, foreign.seal(context, SecretValue(b"x")))
        assert stranger.primary.id in detail


def test_a_wrong_suite_is_refused(ring: PrivateRing, sealer: SigningSealer) -> None:
    """A key's id with another suite is refused."""
    other = next(suite for suite in Suite if suite is not ring.keys[0].public.suite)
    sealed = SealedValue(other, ring.keys[0].id, bytes(16), bytes(other.enc_size + 80))
    grouped = SealedValue(other, ring.keys[0].id, bytes(16), bytes(80), bytes(other.enc_size + 64))
    for value in (sealed, grouped):
        assert "not in the ring" in detail_of_refusal(sealer, value.pack())


@given(sealed=st.binary(max_size=1500))
def test_any_bytes_are_refused_as_a_sealed_value(sealer: SigningSealer, sealed: bytes) -> None:
    """Arbitrary bytes are refused as the client's mistake."""
    detail_of_refusal(sealer, sealed)


def test_a_record_is_not_put_again(
    sealer: SigningSealer, context: Context, stored: Callable[[Context, SecretValue], bytes]
) -> None:
    """A stored record is refused as a sealed value."""
    detail_of_refusal(sealer, stored(context, SecretValue(b"x")))
