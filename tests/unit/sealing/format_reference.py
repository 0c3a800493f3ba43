"""A second implementation of `docs/sealed-format.md`, written from that page only, without the package."""

import base64
import hashlib
import struct
from dataclasses import dataclass, replace
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
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


@dataclass(frozen=True)
class Group:
    """Everything that goes into one group of values in version 2.

    Attributes:
        suite: the suite's number.
        private: the recipient's private key.
        ephemeral: the X25519 key used for encapsulation.
        id: 16 bytes.
        key: 32 bytes.
    """

    suite: int
    private: bytes
    ephemeral: bytes
    id: bytes
    key: bytes

    @property
    def key_id(self) -> bytes:
        """The recipient key's id."""
        return key_id(self.suite, hpke.public_of(KEMS[self.suite], self.private))

    @cached_property
    def sealed(self) -> bytes:
        """The encapsulated key and the sealed group key, the same for all values."""
        public = hpke.public_of(KEMS[self.suite], self.private)
        return hpke.seal(KEMS[self.suite], public, group_info(self.key_id, self.id), self.key, self.ephemeral)


@dataclass(frozen=True)
class GroupedRecipe:
    """Everything that goes into one record with a value of version 2.

    Attributes:
        place: the context.
        group: the value's group.
        signer: the signing key's 32 bytes.
        value_id: 16 bytes.
        padded: the padded plaintext.
    """

    place: Place
    group: Group
    signer: bytes
    value_id: bytes
    padded: bytes

    def holding(self, value: bytes) -> "GroupedRecipe":
        """Return the same recipe with another value."""
        return replace(self, padded=pad(value))

    def sealed(self) -> bytes:
        """Return the sealed value."""
        group = self.group
        key = value_key(self.place, self.value_id, group.key_id, group.id, group.key)
        head = b"NSV\x02" + bytes([group.suite]) + group.key_id + self.value_id + group.id
        return head + group.sealed + AESGCM(key).encrypt(bytes(12), self.padded, b"")

    def record(self) -> bytes:
        """Return the stored record."""
        return sign(self.place, self.sealed(), self.signer)


def encode(tag: str, *fields: bytes) -> bytes:
    """Return a tag and fields, each after its length."""
    return b"".join(map(encode_field, (tag.encode("ascii"), *fields)))


def encode_field(item: bytes) -> bytes:
    """Return a field after its length."""
    return struct.pack(">I", len(item)) + item


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


def group_info(key: bytes, group: bytes) -> bytes:
    """Return HPKE's `info` for a group's key."""
    return encode("nightsafe group key v1", key, group)


def value_key(place: Place, value_id: bytes, key: bytes, group: bytes, group_key: bytes) -> bytes:
    """Return the key of one value of a group."""
    own = encode("nightsafe sealed value v2", *place.fields(), value_id, key, group)
    return HKDFExpand(SHA256(), 32, own).derive(group_key)


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


def verify(place: Place, record: bytes, signer_public: bytes) -> bytes:
    """Return the sealed value of a valid record of version 1."""
    own_id, signature, sealed = record[5:13], record[13:77], record[77:]
    if (record[:5], own_id) != (b"NSR\x01\x01", signer_id(signer_public)):
        raise ValueError("not as the format says")
    message = encode("nightsafe record signature v1", *place.fields(), hashlib.sha256(sealed).digest(), own_id)
    Ed25519PublicKey.from_public_bytes(signer_public).verify(signature, message)
    return sealed


def verify_proven(place: Place, record: bytes, signer_public: bytes) -> bytes:
    """Return the sealed value of a valid record of version 2."""
    since, (length,) = record[4:12], struct.unpack(">H", record[12:14])
    proof, sealed = record[14 : 14 + length], record[14 + length :]
    own_id, signature, root, (size, count, position, hops) = (
        proof[:8],
        proof[8:72],
        proof[72:104],
        struct.unpack(">QIIB", proof[104:121]),
    )
    path, origin = [proof[121 + 32 * hop : 153 + 32 * hop] for hop in range(hops)], proof[121 + 32 * hops :].decode()
    if (record[:4], own_id) != (b"NSR\x02", signer_id(signer_public)):
        raise ValueError("not as the format says")
    put = encode("nightsafe record v2") + b"".join(encode_field(field) for field in place.fields())
    put_in_place = hashlib.sha256(put + encode_field(hashlib.sha256(sealed).digest())).digest()
    statement = hashlib.sha256(encode("nightsafe put v1", put_in_place, since)).digest()
    statements = root_of_path(position, count, statement, path)
    lines = (origin, str(size), in_base64(root), f"statements {count} {in_base64(statements)}")
    Ed25519PublicKey.from_public_bytes(signer_public).verify(signature, "".join(f"{one}\n" for one in lines).encode())
    return sealed


def root_of_path(position: int, count: int, statement: bytes, path: list[bytes]) -> bytes:
    """Return the root of a tree of statements, by the recursive definition of RFC 6962, section 2.1.1."""
    if count == 1:
        if position or path:
            raise ValueError("the path is too long")
        return hashlib.sha256(b"\0" + statement).digest()
    left = 1 << ((count - 1).bit_length() - 1)
    if position < left:
        return hashlib.sha256(b"\1" + root_of_path(position, left, statement, path[:-1]) + path[-1]).digest()
    below = root_of_path(position - left, count - left, statement, path[:-1])
    return hashlib.sha256(b"\1" + path[-1] + below).digest()


def in_base64(data: bytes) -> str:
    """Return data in Base64, as in a checkpoint."""
    return base64.b64encode(data).decode()


def open_(place: Place, record: bytes, private: bytes, signer_public: bytes) -> bytes:
    """Return the value of a valid record of either version; any other record raises some exception."""
    sealed = verify_proven(place, record, signer_public) if record[3] == 2 else verify(place, record, signer_public)
    suite, key, value_id, body = sealed[4], sealed[5:13], sealed[13:29], sealed[29:]
    ours = hpke.public_of(KEMS[suite], private)
    if key != key_id(suite, ours):
        raise ValueError("not as the format says")
    if sealed[:4] == b"NSV\x01":
        padded = hpke.open_(KEMS[suite], private, info(place, value_id, key), body)
    elif sealed[:4] == b"NSV\x02":
        padded = open_grouped(KEMS[suite], private, place, sealed)
    else:
        raise ValueError("unknown version")
    value = padded.rstrip(b"\x00")[:-1]
    if pad(value) != padded:
        raise ValueError("padding")
    return value


def open_grouped(kem: int, private: bytes, place: Place, sealed: bytes) -> bytes:
    """Return the padded value of a sealed value of version 2."""
    end = 45 + ENC_SIZES[sealed[4]] + 48
    key, value_id, group = sealed[5:13], sealed[13:29], sealed[29:45]
    group_key = hpke.open_(kem, private, group_info(key, group), sealed[45:end])
    return AESGCM(value_key(place, value_id, key, group, group_key)).decrypt(bytes(12), sealed[end:], b"")
