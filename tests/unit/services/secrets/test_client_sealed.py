"""Values sealed by clients: valid ones are accepted, invalid ones are refused, and none is opened."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.proofs import proven_record

from nightsafe.bindings.client_sealed import MAX_ENCRYPTED_CHARACTERS, SealedByClient
from nightsafe.bindings.parse import MAX_VALUE_BYTES
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.context import Context
from nightsafe.sealing.groups.sealer import GroupSealer
from nightsafe.sealing.opener import RecordOpener
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import PublicKey, PublicRing
from nightsafe.sealing.rings.ring_file import State
from nightsafe.sealing.sealer import RingSealer, SigningSealer
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.suite import Suite
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.secret_value import SecretValue
from nightsafe.services.secrets.client_sealed import check_client_value

PRIVATE, STRANGER, SIGNER = PrivateRing.generate(), PrivateRing.generate(), SigningKey.generate()
HYBRID = PrivateRing.generate(Suite.HYBRID)
RING = PRIVATE.public()
PLACE = Context(account_id="a" * 32, namespace="", script="s", name="S", kind="secret_text")


def sealed_by(ring: PublicRing, plain: bytes = b"a value", at: str = "/bindings/0") -> SealedByClient:
    """Return a value as a client sends it."""
    sealed = RingSealer(ring).seal(PLACE, SecretValue(plain))
    return SealedByClient(sealed, ring.primary.id, at)


def refused(given_value: SealedByClient, ring: PublicRing = RING) -> tuple[Code, str | None, str]:
    """Return the code, pointer and detail of a refusal."""
    with pytest.raises(NightsafeError) as raised:
        check_client_value(SigningSealer(ring, SIGNER).check, PLACE, given_value)
    problem = raised.value.problems[0]
    return problem.code, problem.pointer, problem.detail


def test_a_client_sealed_value_opens() -> None:
    """The sealed value is kept as it is, so it holds the value that the client sealed for the place."""
    given_value = sealed_by(RING)
    sealed = check_client_value(SigningSealer(RING, SIGNER).check, PLACE, given_value)
    record = proven_record(SIGNER, PLACE, sealed)

    assert given_value.sealed == sealed
    assert b"a value" == RecordOpener(VerifyKeys([SIGNER.verify_key]), PRIVATE).open(PLACE, record).reveal()


@pytest.mark.parametrize("ring", [PRIVATE, HYBRID], ids=["x25519", "hybrid"])
@pytest.mark.parametrize("size", [0, 1, 63, 64, 1024, 4096, MAX_VALUE_BYTES])
def test_the_largest_values_can_be_sealed_by_clients(ring: PrivateRing, size: int) -> None:
    """A sealed value may be as large as a plain one, with either suite, also in base64."""
    given_value = sealed_by(ring.public(), b"x" * size)

    assert check_client_value(SigningSealer(ring.public(), SIGNER).check, PLACE, given_value)
    assert len(given_value.sealed) * 4 / 3 < MAX_ENCRYPTED_CHARACTERS


@pytest.mark.parametrize("ring", [PRIVATE, HYBRID], ids=["x25519", "hybrid"])
def test_an_overlong_sealed_value_is_refused(ring: PrivateRing) -> None:
    """A value is refused as soon as its padded size shows that it is too long."""
    code, pointer, detail = refused(sealed_by(ring.public(), b"x" * (MAX_VALUE_BYTES + 512)), ring.public())

    assert (Code.BINDING_TOO_LARGE, "/bindings/0/encrypted_value", "S") == (code, pointer, detail)


@pytest.mark.parametrize("ring", [PRIVATE, HYBRID], ids=["x25519", "hybrid"])
def test_a_client_may_send_version_2(ring: PrivateRing) -> None:
    """A sealed value of version 2 is accepted up to the size of the longest value, and refused above it."""
    public, sealer = ring.public(), GroupSealer(ring.public())
    largest, longer = (
        SealedByClient(sealer.seal(PLACE, SecretValue(b"x" * size)), public.primary.id, "/bindings/0")
        for size in (MAX_VALUE_BYTES, MAX_VALUE_BYTES + 512)
    )

    record = proven_record(SIGNER, PLACE, check_client_value(SigningSealer(public, SIGNER).check, PLACE, largest))
    assert b"x" * MAX_VALUE_BYTES == RecordOpener(VerifyKeys([SIGNER.verify_key]), ring).open(PLACE, record).reveal()
    assert len(largest.sealed) * 4 / 3 < MAX_ENCRYPTED_CHARACTERS
    assert (Code.BINDING_TOO_LARGE, "/bindings/0/encrypted_value", "S") == refused(longer, public)


def test_a_value_sealed_to_an_unknown_key_is_refused() -> None:
    """A value sealed to an unknown key is refused with a pointer to the key, and its id."""
    code, pointer, detail = refused(sealed_by(STRANGER.public()))

    assert (Code.INVALID, "/bindings/0/key_id") == (code, pointer)
    assert f"not in the ring: {STRANGER.public().primary.id}" in detail


def test_a_value_sealed_to_a_retired_key_is_refused() -> None:
    """A value sealed to a retired key is refused with the key to use instead."""
    old, new = RING.primary, STRANGER.public().primary
    retired = PublicKey.load(old.suite, State.RETIRED, old.public)

    code, pointer, detail = refused(sealed_by(RING), PublicRing([retired, new]))

    assert (Code.INVALID, "/bindings/0/key_id") == (code, pointer)
    assert f"seal it to {new.id}" in detail


def test_a_value_sealed_to_an_active_key_is_accepted() -> None:
    """A value sealed to an active key is accepted, so that clients need not know the new primary at once."""
    old, new = RING.primary, STRANGER.public().primary
    active = PublicKey.load(old.suite, State.ACTIVE, old.public)

    assert check_client_value(SigningSealer(PublicRing([active, new]), SIGNER).check, PLACE, sealed_by(RING))


def test_a_wrong_key_id_is_refused() -> None:
    """A `key_id` other than the key that the value is sealed to is refused."""
    given_value = sealed_by(RING, at="")

    code, pointer, detail = refused(SealedByClient(given_value.sealed, "0" * 16, ""))

    assert (Code.INVALID, "/key_id") == (code, pointer)
    assert RING.primary.id in detail


@given(st.binary(max_size=200) | st.integers(0, 400).map(lambda cut: sealed_by(RING).sealed[:cut]))
def test_a_malformed_sealed_value_is_refused(sealed: bytes) -> None:
    """Bytes that are not a sealed value are refused with a pointer to the value."""
    if len(sealed) >= len(sealed_by(RING).sealed):
        return
    code, pointer, _ = refused(SealedByClient(sealed, RING.primary.id, ""))

    assert (Code.INVALID, "/encrypted_value") == (code, pointer)
