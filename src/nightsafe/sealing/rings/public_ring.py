"""The public ring, which contains everything needed to seal values and nothing that opens them."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Final, Literal, Self

import msgspec
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from nightsafe.sealing.encoding import short_id
from nightsafe.sealing.key_file import KeyFile
from nightsafe.sealing.rings import ring_file
from nightsafe.sealing.rings.lineage import Identity, Lineage, check_lineage, primary_digest
from nightsafe.sealing.rings.ring_file import State, problem
from nightsafe.sealing.suite import Suite

_KEMS: Final = {Suite.X25519: hpke.KEM.X25519, Suite.HYBRID: hpke.KEM.MLKEM768_X25519}
HPKE: Final = {suite: hpke.Suite(kem, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM) for suite, kem in _KEMS.items()}
_MLKEM768_PUBLIC_SIZE: Final = 1184

LoadedPublicKey = X25519PublicKey | hpke.MLKEM768X25519PublicKey


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    """One key in the file."""

    id: str
    suite: Suite
    state: State
    public: bytes


_Format = Literal["nightsafe-public-ring/1", "nightsafe-public-ring/2", "nightsafe-public-ring/3"]


class _File(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The whole file; format 2 adds a number, format 3 also a lineage."""

    format: _Format
    number: ring_file.Number = 0
    keys: list[_Entry]
    lineage: Lineage = Lineage()


class Proof(msgspec.Struct, frozen=True, omit_defaults=True):
    """The facts that a server sends with the ring that it offers, for clients that remember rings."""

    number: ring_file.Number = 0
    """The ring's number."""
    lineage: Lineage = Lineage()
    """The links from earlier rings to this one."""


def key_id(suite: Suite, public: bytes) -> str:
    """Return a key's id, derived from its suite and its public bytes."""
    return short_id(b"nightsafe key id v1", bytes((suite.number,)), public)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key that values are sealed to.

    Attributes:
        id: derived from the suite and the public bytes.
        suite: the suite that it seals with.
        state: the uses that the key still has.
        public: its public bytes, in the suite's encoding.
        loaded: the cryptography library's object, kept so that sealing does not parse the key again.
    """

    id: str
    suite: Suite
    state: State
    public: bytes = field(repr=False)
    loaded: LoadedPublicKey = field(repr=False, compare=False)

    @classmethod
    def load(cls, suite: Suite, state: State, public: bytes) -> Self:
        """Parse a public key, and prove with one trial seal that it works.

        Raises:
            ValueError: when the bytes are not a public key of this suite.
        """
        loaded = _load(suite, public)
        HPKE[suite].encrypt(b"", loaded)
        return cls(key_id(suite, public), suite, state, public, loaded)


class PublicRing(KeyFile):
    """One primary key that values are sealed to, and older keys by id.

    Args:
        keys: the keys, in any order.
        source: the ring's name in an error message.
        number: see `ring_file.Number`; of two rings of one safe, the ring with the greater number is newer.
        lineage: the links from earlier rings to this one.

    Raises:
        NightsafeError: INVALID, when the ring does not have exactly one primary, or has a key twice.
    """

    __slots__ = ("_by_id", "keys", "lineage", "number", "primary")
    is_private = False

    def __init__(
        self,
        keys: Iterable[PublicKey],
        source: str = "public ring",
        number: int = 0,
        lineage: Lineage = Lineage(),  # noqa: B008 - it is frozen
    ) -> None:
        self.keys: Final = tuple(keys)
        self.number: Final = number
        self.lineage: Final = lineage
        ring_file.check_ring(source, self.keys)
        self.primary: Final = next(key for key in self.keys if key.state is State.PRIMARY)
        self._by_id: Final = {key.id: key for key in self.keys}

    @property
    def identity(self) -> Identity:
        """The facts that a client remembers of this ring."""
        primary = primary_digest(self.primary.suite, self.primary.public)
        return Identity(self.number, primary, self.lineage.signer or b"")

    def get(self, key_id: str) -> PublicKey | None:
        """Return the key with this id in any state, or None."""
        return self._by_id.get(key_id)

    def with_lineage(self, lineage: Lineage) -> Self:
        """Return this ring with the given lineage."""
        return type(self)(self.keys, number=self.number, lineage=lineage)

    def with_retired(self, key_ids: Collection[str], source: str = "public ring") -> Self:
        """Return this ring with the given keys retired; keys that it does not have are ignored.

        Returns the same ring object if these keys are retired already.

        Raises:
            NightsafeError: INVALID, when the primary is among these keys.
        """
        if self.primary.id in key_ids:
            raise problem(
                source, f"the key {self.primary.id} is retired here and cannot be the primary: use a newer ring"
            )
        if all(key.state is State.RETIRED for key in self.keys if key.id in key_ids):
            return self
        keys = [replace(key, state=State.RETIRED) if key.id in key_ids else key for key in self.keys]
        return type(self)(keys, source, self.number, self.lineage)

    def without(self, key_ids: Collection[str]) -> Self:
        """Return this ring without the given keys."""
        kept = [key for key in self.keys if key.id not in key_ids]
        return type(self)(kept, number=self.number, lineage=self.lineage)

    def as_successor_of(
        self, current: Self, source: str = "public ring", retired_keys: Callable[[], Collection[str]] = frozenset
    ) -> Self:
        """Return this ring for use in place of another ring of the same safe, with the other's retired keys retired.

        Args:
            current: the ring in use.
            source: this ring's name in an error message.
            retired_keys: returns the ids of keys that were retired. Called only when this ring lacks a key that is
                not retired in the ring in use. By default, no key was retired.

        Raises:
            NightsafeError: INVALID, when this ring is the older one, when the two rings come from different
                rotations, or when this ring lacks a key that is in use.
        """
        ring_file.check_not_older(source, self.number, current.number)
        if self.number == current.number:
            self._check_same_rotation(current, source)
        self._check_has_all(current, source, retired_keys)
        return self._with_lineage_of(current).with_retired(
            {key.id for key in current.keys if key.state is State.RETIRED}, source
        )

    def _with_lineage_of(self, current: Self) -> Self:
        """Return this ring, with the previous ring's lineage facts that this ring lacks added."""
        own = self.lineage
        if own.signer is None and self.primary.id == current.primary.id:
            own = Lineage(current.lineage.signer, own.links)
        joined = own.joined_with(current.lineage) if own.signer else own
        return self if joined == self.lineage else self.with_lineage(joined)

    def _check_same_rotation(self, current: Self, source: str) -> None:
        """Refuse a ring with the same number that retiring and removing keys could not have made from the other ring.

        Rings without a number may come from different rotations; the older ring's primary is then an older key of the
        other ring.
        """
        if self.primary.id == current.primary.id:
            removed = next((key.id for key in self.keys if current.get(key.id) is None), None)
            if removed is not None:
                raise problem(source, f"is an older ring: it has the key {removed}, which has since been removed")
        elif self.number:
            raise problem(
                source,
                f"is not the ring in use but has the same number, {self.number}: two copies of the private ring were "
                "rotated separately. Keep the copy whose primary key is in use, and rotate that copy",
            )
        elif current.get(self.primary.id) is not None:
            raise problem(
                source, f"is an older ring: its primary key {self.primary.id} is an older key of the ring in use"
            )

    def _check_has_all(self, current: Self, source: str, retired_keys: Callable[[], Collection[str]]) -> None:
        """Refuse a ring that lacks a key that accepts values in the ring in use and was never retired.

        The number alone does not show this: two copies of the private ring may have been rotated separately, one more
        often than the other.
        """
        missing = [key for key in current.keys if key.state is not State.RETIRED and self.get(key.id) is None]
        retired = retired_keys() if missing else ()
        for key in missing:
            if key.id in retired:
                continue
            if key.state is State.PRIMARY:
                raise problem(
                    source,
                    f"lacks the key {key.id}, the primary of the ring in use, so it was not made from that ring: two "
                    "copies of the private ring were rotated separately, or this ring belongs to another safe. Keep "
                    "the private ring that has this key, rotate it, and use the public ring that this rotation makes",
                )
            raise problem(
                source,
                f"lacks the key {key.id}, which is in the ring in use and not retired. Use a ring that has this key "
                f"or, to give the key up, retire it first: nightsafe keys retire {key.id}",
            )

    @classmethod
    def decode(cls, data: bytes, source: str = "public ring") -> Self:
        """Read a ring from a file's bytes.

        Raises:
            NightsafeError: INVALID, with the source and what is wrong.
        """
        file = ring_file.decode(data, _File, source)
        ring_file.check_number(source, file.format, file.number)
        check_lineage(source, file.lineage)
        if file.format.endswith("/3") != (file.lineage.signer is not None):
            raise problem(source, "wrong or missing field at $.lineage")
        return cls([_key(entry, source) for entry in file.keys], source, file.number, file.lineage)

    def encode(self) -> bytes:
        """Return the ring as a file's bytes."""
        file_format: _Format = "nightsafe-public-ring/1" if not self.number else "nightsafe-public-ring/2"
        if self.lineage.signer is not None:
            file_format = "nightsafe-public-ring/3"
        return ring_file.encode(
            _File(format=file_format, number=self.number, keys=self._entries(), lineage=self.lineage)
        )

    def encode_offer(self) -> bytes:
        """Return the ring as the server offers it: without its number, in the format that every client can read."""
        return ring_file.encode(_File(format="nightsafe-public-ring/1", keys=self._entries()))

    def encode_proof(self) -> bytes:
        """Return the proof that the server sends with the ring, as JSON."""
        return msgspec.json.encode(Proof(self.number, self.lineage))

    def with_proof(self, proof: bytes) -> Self:
        """Return this offered ring with the number and the lineage of its proof.

        Raises:
            NightsafeError: INVALID, when `encode_proof` is not a `Proof`.
        """
        decoded = ring_file.decode(proof, Proof, "the ring's proof")
        check_lineage("the ring's proof", decoded.lineage)
        if decoded == Proof():
            return self
        return type(self)(self.keys, number=decoded.number, lineage=decoded.lineage)

    def _entries(self) -> list[_Entry]:
        """Return the keys as file entries."""
        return [_Entry(key.id, key.suite, key.state, key.public) for key in self.keys]


def _load(suite: Suite, public: bytes) -> LoadedPublicKey:
    """Return the library's object for a public key; raise ValueError if the bytes are not such a key."""
    if suite is Suite.X25519:
        return X25519PublicKey.from_public_bytes(public)
    lattice = MLKEM768PublicKey.from_public_bytes(public[:_MLKEM768_PUBLIC_SIZE])
    curve = X25519PublicKey.from_public_bytes(public[_MLKEM768_PUBLIC_SIZE:])
    return hpke.MLKEM768X25519PublicKey(lattice, curve)


def _key(entry: _Entry, source: str) -> PublicKey:
    """Load a key from its entry; raise NightsafeError INVALID if it is unusable or its stated id is wrong."""
    try:
        key = PublicKey.load(entry.suite, entry.state, entry.public)
    except ValueError:
        raise problem(source, f"holds a public key that is not a usable {entry.suite} key") from None
    ring_file.check_id(source, entry.id, key.id)
    return key
