"""A second implementation of `docs/sealed-format.md`, written from that page only, without the package."""

import hashlib
import struct
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from tests.unit.sealing import hpke_reference as hpke

KEMS = {1: hpke.X25519_KEM, 2: hpke.XWING_KEM}
ENC_SIZES = {1: 32, 2: 1120}


@dataclass(frozen=True)
class Place:
    """The context of a value, with its fields in the order of the format."""

    account_id: str
    namespace: str
    script: str
    name: str
    kind: str
    public: bytes

    def fields(self) -> list[bytes]:
        """Return the six fields as bytes."""
        texts = [self.account_id, self.namespace, self.script, self.name, self.kind]
        return [*(text.encode() for text in texts), self.public]


@dataclass(frozen=True)
class Recipe:
    """Everything that goes into one record. A failure vector is a recipe with one change.

    Attributes:
        place: the context.
        suite: the suite's number.
        private: the recipient's private key.
        signer: the signing key's 32 bytes.
        value_id: 16 bytes.
        ephemeral: the X25519 key used for encapsulation.
        padded: the padded plaintext.
    """

    place: Place
    suite: int
    private: bytes
    signer: bytes
    value_id: bytes
    ephemeral: bytes
    padded: bytes

    def holding(self, value: bytes) -> "Recipe":
        """Return the same recipe with another value."""
        return replace(self, padded=pad(value))

    def sealed(self) -> bytes:
        """Return the sealed value."""
        public = hpke.public_of(KEMS[self.suite], self.private)
        key = key_id(self.suite, public)
        body = hpke.seal(KEMS[self.suite], public, info(self.place, self.value_id, key), self.padded, self.ephemeral)
        return b"NSV\x01" + bytes([self.suite]) + key + self.value_id + body

    def record(self) -> bytes:
        """Return the stored record."""
        return sign(self.place, self.sealed(), self.signer)


def encode(tag: str, *fields: bytes) -> bytes:
    """Return a tag and fields, each after its length."""
    return b"".join(struct.pack(">I", len(item)) + item for item in (tag.encode("ascii"), *fields))


def key_id(suite: int, public: bytes) -> bytes:
    """Return a recipient key's id."""
    return hashlib.sha256(encode("nightsafe key id v1", bytes([suite]), public)).digest()[:8]


def signer_id(public: bytes) -> bytes:
    """Return a signing key's id."""
    return hashlib.sha256(encode("nightsafe signer id v1", public)).digest()[:8]


def signer_public(secret: bytes) -> bytes:
    """Return a signing key's public half."""
    return Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def info(place: Place, value_id: bytes, key: bytes) -> bytes:
    """Return HPKE's `info`."""
    return encode("nightsafe sealed value v1", *place.fields(), value_id, key)


def size(length: int) -> int:
    """Return the padded length of a value that has this length with its mark."""
    if length <= 1024:
        return ((length + 63) // 64) * 64
    e = length.bit_length() - 1
    s = e.bit_length()
    m = (1 << (e - s)) - 1
    return (length + m) & ~m


def pad(value: bytes) -> bytes:
    """Return the padded value."""
    return (value + b"\x80").ljust(size(len(value) + 1), b"\x00")


def sign(place: Place, sealed: bytes, signer: bytes) -> bytes:
    """Return a signed record that contains a sealed value."""
    key = Ed25519PrivateKey.from_private_bytes(signer)
    own_id = signer_id(key.public_key().public_bytes_raw())
    message = encode("nightsafe record signature v1", *place.fields(), hashlib.sha256(sealed).digest(), own_id)
    return b"NSR\x01\x01" + own_id + key.sign(message) + sealed


def open_(place: Place, record: bytes, private: bytes, signer_public: bytes) -> bytes:
    """Return the value of a valid record; any other record raises some exception."""
    own_id, signature, sealed = record[5:13], record[13:77], record[77:]
    suite, key, value_id, body = sealed[4], sealed[5:13], sealed[13:29], sealed[29:]
    message = encode("nightsafe record signature v1", *place.fields(), hashlib.sha256(sealed).digest(), own_id)
    Ed25519PublicKey.from_public_bytes(signer_public).verify(signature, message)
    ours = hpke.public_of(KEMS[suite], private)
    facts = (record[:5], own_id, sealed[:4], key)
    if facts != (b"NSR\x01\x01", signer_id(signer_public), b"NSV\x01", key_id(suite, ours)):
        raise ValueError("not as the format says")
    padded = hpke.open_(KEMS[suite], private, info(place, value_id, key), body)
    value = padded.rstrip(b"\x00")[:-1]
    if pad(value) != padded:
        raise ValueError("padding")
    return value
