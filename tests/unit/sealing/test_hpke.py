"""The tests' own HPKE agrees with the official vectors, and the library agrees with it."""

import json
from pathlib import Path
from typing import TypedDict

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.sealing import hpke_reference as reference

from nightsafe.sealing.rings.private_ring import PrivateKey
from nightsafe.sealing.rings.public_ring import HPKE
from nightsafe.sealing.rings.ring_file import State
from nightsafe.sealing.suite import Suite

KEMS = {Suite.X25519: reference.X25519_KEM, Suite.HYBRID: reference.XWING_KEM}


class Encryption(TypedDict):
    """One message of a vector, in hex."""

    aad: str
    nonce: str
    pt: str
    ct: str


class Vector(TypedDict):
    """One vector as published, in hex, without the fields that are not needed here."""

    source: str
    kem_id: int
    aead_id: int
    info: str
    skRm: str
    pkRm: str
    skEm: str
    enc: str
    shared_secret: str
    key: str
    base_nonce: str
    encryptions: list[Encryption]


VECTORS: list[Vector] = json.loads(Path(__file__).with_name("hpke-vectors.json").read_text())
each_vector = pytest.mark.parametrize(
    "vector", VECTORS, ids=[f"{v['source']}-{v['kem_id']:#x}-{v['aead_id']}" for v in VECTORS]
)
each_suite = pytest.mark.parametrize("suite", Suite)
keys = st.binary(min_size=32, max_size=32)


def unhex(text: str) -> bytes:
    """Return the bytes of a hex field."""
    return bytes.fromhex(text)


@each_vector
def test_reference_derives_the_published_keys(vector: Vector) -> None:
    """Public key, shared secret, key and base nonce are as published."""
    kem, private = vector["kem_id"], unhex(vector["skRm"])
    shared = reference.decapsulate(kem, private, unhex(vector["enc"]))
    key, nonce = reference.key_schedule(kem, vector["aead_id"], shared, unhex(vector["info"]))
    assert vector["pkRm"] == reference.public_of(kem, private).hex()
    assert vector["shared_secret"] == shared.hex()
    assert (vector["key"], vector["base_nonce"]) == (key.hex(), nonce.hex())


@each_vector
def test_reference_encrypts_and_decrypts_as_published(vector: Vector) -> None:
    """Each message encrypts to the published ciphertext, which decrypts to the message."""
    cipher = reference.cipher(vector["aead_id"], unhex(vector["key"]))
    for message in vector["encryptions"]:
        nonce, aad, plain = unhex(message["nonce"]), unhex(message["aad"]), unhex(message["pt"])
        assert message["ct"] == cipher.encrypt(nonce, plain, aad).hex()
        assert plain == cipher.decrypt(nonce, unhex(message["ct"]), aad)
    first, second = vector["encryptions"][:2]
    assert first["nonce"] == reference.nonce_at(unhex(vector["base_nonce"]), 0).hex()
    assert second["nonce"] == reference.nonce_at(unhex(vector["base_nonce"]), 1).hex()


@pytest.mark.parametrize("vector", [v for v in VECTORS if v["kem_id"] == reference.X25519_KEM])
def test_reference_encapsulates_as_published(vector: Vector) -> None:
    """The published ephemeral key gives the published `enc` and shared secret."""
    shared, enc = reference.encapsulate(vector["kem_id"], unhex(vector["pkRm"]), unhex(vector["skEm"]))
    assert (vector["shared_secret"], vector["enc"]) == (shared.hex(), enc.hex())


@each_suite
@given(private=keys, ephemeral=keys, info=st.binary(), plaintext=st.binary())
def test_library_and_reference_open_each_other(
    suite: Suite, private: bytes, ephemeral: bytes, info: bytes, plaintext: bytes
) -> None:
    """The library opens what the reference seals, and the reverse, for any key, info and plaintext."""
    key = PrivateKey.load(suite, State.PRIMARY, private)
    ours = reference.seal(KEMS[suite], key.public.public, info, plaintext, ephemeral)
    theirs = HPKE[suite].encrypt(plaintext, key.public.loaded, info)
    assert plaintext == HPKE[suite].decrypt(ours, key.loaded, info)
    assert plaintext == reference.open_(KEMS[suite], private, info, theirs)


@each_suite
def test_another_info_does_not_open(suite: Suite) -> None:
    """With another `info`, neither implementation opens the message."""
    key = PrivateKey.generate(suite)
    message = HPKE[suite].encrypt(b"x", key.public.loaded, b"here")
    with pytest.raises(InvalidTag):
        HPKE[suite].decrypt(message, key.loaded, b"there")
    with pytest.raises(InvalidTag):
        reference.open_(KEMS[suite], key.private.reveal(), b"there", message)
