"""The public ring: what one needs to seal, and nothing one could open with."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal, Self

import msgspec
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from nightsafe.sealing import files
from nightsafe.sealing.encoding import short_id
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
    """The whole file; the second form has a number, the third a lineage too."""

    format: _Format
    number: ring_file.Number = 0
    keys: list[_Entry]
    lineage: Lineage = Lineage()


class Proof(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a server says beside the ring that it offers, for clients that remember rings."""

    number: ring_file.Number = 0
    """The ring's number."""
    lineage: Lineage = Lineage()
    """How it came of earlier ones."""


def key_id(suite: Suite, public: bytes) -> str:
    """A key's id, from its suite and its public bytes."""
    return short_id(b"nightsafe key id v1", bytes((suite.number,)), public)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key to seal to.

    Attributes:
        id: derived from the suite and the public bytes.
        suite: what it seals with.
        state: what it may be used for.
        public: its public bytes, as the suite writes them.
        loaded: the library's object, kept so that no seal has to parse.
    """

    id: str
    suite: Suite
    state: State
    public: bytes = field(repr=False)
    loaded: LoadedPublicKey = field(repr=False, compare=False)

    @classmethod
    def load(cls, suite: Suite, state: State, public: bytes) -> Self:
        """Parse a public key and prove, by one seal, that it can be sealed to.

        Raises:
            ValueError: when the bytes are no such key.
        """
        loaded = _load(suite, public)
        HPKE[suite].encrypt(b"", loaded)
        return cls(key_id(suite, public), suite, state, public, loaded)


class PublicRing:
    """One primary key to seal to, and older ones by id.

    Args:
        keys: the keys, in any order.
        source: how to name the ring in a refusal.
        number: as `ring_file.Number`: of two rings of one safe the one with the greater number is newer.
        lineage: how it came of earlier ones.

    Raises:
        NightsafeError: INVALID, when there is not exactly one primary, or a key is there twice.
    """

    __slots__ = ("_by_id", "keys", "lineage", "number", "primary")

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
        """What one remembers of it."""
        primary = primary_digest(self.primary.suite, self.primary.public)
        return Identity(self.number, primary, self.lineage.signer or b"")

    def get(self, key_id: str) -> PublicKey | None:
        """The key of this id, in whatever state, or None."""
        return self._by_id.get(key_id)

    def of(self, lineage: Lineage) -> Self:
        """This ring with a lineage."""
        return type(self)(self.keys, number=self.number, lineage=lineage)

    def retiring(self, key_ids: Collection[str], source: str = "public ring") -> Self:
        """This ring with those of these keys that it has refused for new values; itself when they are already.

        Raises:
            NightsafeError: INVALID, when the primary is among them.
        """
        if self.primary.id in key_ids:
            raise problem(
                source, f"the key {self.primary.id} is retired here and cannot be the primary: take a newer ring"
            )
        if all(key.state is State.RETIRED for key in self.keys if key.id in key_ids):
            return self
        keys = [replace(key, state=State.RETIRED) if key.id in key_ids else key for key in self.keys]
        return type(self)(keys, source, self.number, self.lineage)

    def without(self, key_ids: Collection[str]) -> Self:
        """This ring without some of its keys."""
        kept = [key for key in self.keys if key.id not in key_ids]
        return type(self)(kept, number=self.number, lineage=self.lineage)

    def succeeding(
        self, before: Self, source: str = "public ring", given_up: Callable[[], Collection[str]] = frozenset
    ) -> Self:
        """This ring, to be used in the place of another of the same safe: what is retired there is retired here too.

        Args:
            before: the ring in use.
            source: how to name this one in a refusal.
            given_up: asked for the ids of keys that were retired, when a key is missing that is not retired in the
                ring in use; by default, none was.

        Raises:
            NightsafeError: INVALID, when this one is the older of the two, when each comes from another rotation, or
                when this one lacks a key that is in use.
        """
        ring_file.check_not_older(source, self.number, before.number)
        if self.number == before.number:
            self._check_same_rotation(before, source)
        self._check_has_all(before, source, given_up)
        return self._keeping(before).retiring({key.id for key in before.keys if key.state is State.RETIRED}, source)

    def _keeping(self, before: Self) -> Self:
        """This ring with what the one before it shows of its lineage and this one does not."""
        own = self.lineage
        if own.signer is None and self.primary.id == before.primary.id:
            own = Lineage(before.lineage.signer, own.links)
        joined = own.joined(before.lineage) if own.signer else own
        return self if joined == self.lineage else self.of(joined)

    def _check_same_rotation(self, before: Self, source: str) -> None:
        """Refuse a ring of the same number that could not have become of the other one by retiring and removing.

        Rings without a number may each come from another rotation; the older of the two has a primary that is an
        older key of the other.
        """
        if self.primary.id == before.primary.id:
            back = next((key.id for key in self.keys if before.get(key.id) is None), None)
            if back is not None:
                raise problem(source, f"is an older ring: it has the key {back}, which was removed since")
        elif self.number:
            raise problem(
                source,
                f"is another ring of the number {self.number} than the one in use: two copies of the private ring "
                "were rotated apart. Keep the one whose primary key is in use, and rotate that",
            )
        elif before.get(self.primary.id) is not None:
            raise problem(
                source, f"is an older ring: its primary key {self.primary.id} is an older key of the one in use"
            )

    def _check_has_all(self, before: Self, source: str, given_up: Callable[[], Collection[str]]) -> None:
        """Refuse a ring that lacks a key which takes values in the ring in use and was never given up.

        The number does not tell that: two copies of the private ring may have been rotated apart, one of them more
        often than the other.
        """
        missing = [key for key in before.keys if key.state is not State.RETIRED and self.get(key.id) is None]
        gone = given_up() if missing else ()
        for key in missing:
            if key.id in gone:
                continue
            if key.state is State.PRIMARY:
                raise problem(
                    source,
                    f"lacks the key {key.id}, the primary of the ring in use, so it did not come of that ring: two "
                    "copies of the private ring were rotated apart, or it is of another safe. Keep the private ring "
                    "that has this key, rotate that, and take the public ring which that makes",
                )
            raise problem(
                source,
                f"lacks the key {key.id}, which is in the ring in use and not retired. Take a ring that has it or, "
                f"to give it up, retire it first: nightsafe keys retire {key.id}",
            )

    @classmethod
    def decode(cls, data: bytes, source: str = "public ring") -> Self:
        """Read a ring from a file's bytes.

        Raises:
            NightsafeError: INVALID, with the source and what is wrong.
        """
        form = ring_file.decode(data, _File, source)
        ring_file.check_number(source, form.format, form.number)
        check_lineage(source, form.lineage)
        if form.format.endswith("/3") != (form.lineage.signer is not None):
            raise problem(source, "wrong or missing field at $.lineage")
        return cls([_key(entry, source) for entry in form.keys], source, form.number, form.lineage)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a ring from a file that nobody else may write to.

        Raises:
            NightsafeError: INVALID, with the path and what is wrong.
        """
        return cls.decode(files.read(path, private=False), str(path))

    def encode(self) -> bytes:
        """The ring as a file's bytes."""
        form: _Format = "nightsafe-public-ring/1" if not self.number else "nightsafe-public-ring/2"
        if self.lineage.signer is not None:
            form = "nightsafe-public-ring/3"
        return ring_file.encode(_File(format=form, number=self.number, keys=self._entries(), lineage=self.lineage))

    def offered(self) -> bytes:
        """The ring as clients are offered it: without its number, in the form that every release of them reads."""
        return ring_file.encode(_File(format="nightsafe-public-ring/1", keys=self._entries()))

    def proof(self) -> bytes:
        """What clients are told beside it, as JSON."""
        return msgspec.json.encode(Proof(self.number, self.lineage))

    def proven(self, proof: bytes) -> Self:
        """This ring, as it was offered, with what was told beside it.

        Raises:
            NightsafeError: INVALID, when that is no `Proof`.
        """
        told = ring_file.decode(proof, Proof, "what is told of the ring")
        check_lineage("what is told of the ring", told.lineage)
        if told == Proof():
            return self
        return type(self)(self.keys, number=told.number, lineage=told.lineage)

    def _entries(self) -> list[_Entry]:
        """The keys as they stand in a file."""
        return [_Entry(key.id, key.suite, key.state, key.public) for key in self.keys]

    def save(self, path: Path, *, replace: bool = False) -> None:
        """Write the ring to a file of mode 0644, whole or not at all.

        Raises:
            NightsafeError: INVALID, when it cannot be written, or is there and may not be replaced.
        """
        files.write(path, self.encode(), private=False, replace=replace)


def _load(suite: Suite, public: bytes) -> LoadedPublicKey:
    """The library's object for a public key; ValueError when the bytes are no such key."""
    if suite is Suite.X25519:
        return X25519PublicKey.from_public_bytes(public)
    lattice = MLKEM768PublicKey.from_public_bytes(public[:_MLKEM768_PUBLIC_SIZE])
    curve = X25519PublicKey.from_public_bytes(public[_MLKEM768_PUBLIC_SIZE:])
    return hpke.MLKEM768X25519PublicKey(lattice, curve)


def _key(entry: _Entry, source: str) -> PublicKey:
    """A key out of its entry; NightsafeError INVALID when it is none, or not the one it says."""
    try:
        key = PublicKey.load(entry.suite, entry.state, entry.public)
    except ValueError:
        raise problem(source, f"holds a public key that is not a usable {entry.suite} key") from None
    ring_file.check_id(source, entry.id, key.id)
    return key
