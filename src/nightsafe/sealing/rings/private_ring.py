"""The private ring: what opens. Only the delivery side and whoever makes keys import this."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from hashlib import shake_256
from pathlib import Path
from typing import Final, Literal, Self

import msgspec
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from nightsafe.sealing import files
from nightsafe.sealing.rings import ring_file
from nightsafe.sealing.rings.public_ring import PublicKey, PublicRing
from nightsafe.sealing.rings.ring_file import State, problem
from nightsafe.sealing.suite import Suite
from nightsafe.secret_value import SecretValue

_PRIVATE_SIZE: Final = 32
_MLKEM_SEED_SIZE: Final = 64

LoadedPrivateKey = X25519PrivateKey | hpke.MLKEM768X25519PrivateKey


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    """One key in the file."""

    id: str
    suite: Suite
    state: State
    private: bytes

    def __repr__(self) -> str:
        """No private key in it."""
        return f"_Entry({self.id})"


class _File(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The whole file; the second form has a number."""

    format: Literal["nightsafe-private-ring/1", "nightsafe-private-ring/2"]
    number: ring_file.Number = 0
    keys: list[_Entry]


_FORMS: Final[dict[bool, Literal["nightsafe-private-ring/1", "nightsafe-private-ring/2"]]] = {
    False: "nightsafe-private-ring/1",
    True: "nightsafe-private-ring/2",
}


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key to open with.

    Attributes:
        public: its public half, with id, suite and state.
        private: the 32 bytes it is made from.
        loaded: the library's object, kept so that no opening has to parse.
    """

    public: PublicKey
    private: SecretValue
    loaded: LoadedPrivateKey = field(repr=False, compare=False)

    @classmethod
    def load(cls, suite: Suite, state: State, private: bytes) -> Self:
        """Derive both halves from the private bytes.

        Raises:
            ValueError: when there are not 32 of them.
        """
        if len(private) != _PRIVATE_SIZE:
            raise ValueError("a private key has 32 bytes")
        loaded, public = _derive(suite, private)
        return cls(PublicKey.load(suite, state, public), SecretValue(private), loaded)

    @classmethod
    def generate(cls, suite: Suite) -> Self:
        """A new primary key from the system's random source."""
        return cls.load(suite, State.PRIMARY, secrets.token_bytes(_PRIVATE_SIZE))

    @property
    def id(self) -> str:
        """The id it shares with its public half."""
        return self.public.id

    @property
    def state(self) -> State:
        """What it may be used for; every state opens."""
        return self.public.state

    def in_state(self, state: State) -> Self:
        """The same key in another state."""
        return replace(self, public=replace(self.public, state=state))


class PrivateRing:
    """One primary key and older ones by id. Rings are values: a change gives a new ring.

    Args:
        keys: the keys, in any order.
        source: how to name the ring in a refusal.
        number: as `ring_file.Number`; each rotation adds one.

    Raises:
        NightsafeError: INVALID, when there is not exactly one primary, or a key is there twice.
    """

    __slots__ = ("_by_id", "keys", "number")

    def __init__(self, keys: Iterable[PrivateKey], source: str = "private ring", number: int = 0) -> None:
        self.keys: Final = tuple(keys)
        self.number: Final = number
        ring_file.check_ring(source, self.keys)
        self._by_id: Final = {key.id: key for key in self.keys}

    @classmethod
    def generate(cls, suite: Suite = Suite.X25519) -> Self:
        """A ring of one new key."""
        return cls([PrivateKey.generate(suite)], number=1)

    def get(self, key_id: str) -> PrivateKey | None:
        """The key of this id, in whatever state, or None."""
        return self._by_id.get(key_id)

    @property
    def primary(self) -> PrivateKey:
        """The key that new values are sealed to."""
        return next(key for key in self.keys if key.state is State.PRIMARY)

    def public(self) -> PublicRing:
        """The public ring that belongs to this one, without its lineage: `ring_signer` gives that."""
        return PublicRing([key.public for key in self.keys], number=self.number)

    def succeeding(self, before: Self, source: str = "private ring") -> Self:
        """This ring, to be used in the place of another of the same safe.

        Raises:
            NightsafeError: INVALID, when this one is the older of the two: it lacks a key that values are sealed to.
        """
        ring_file.check_not_older(source, self.number, before.number)
        return self

    def check_covers(self, ring: PublicRing) -> None:
        """Refuse a public ring to which values could be sealed that this ring cannot open.

        Raises:
            NightsafeError: INVALID, with the id of the first public key that has no private one here.
        """
        for theirs in ring.keys:
            ours = self.get(theirs.id)
            if ours is None or ours.public.public != theirs.public:
                raise problem("public ring", f"the private ring has no key {theirs.id}")

    def rotated(self, suite: Suite | None = None, beyond: int = 0) -> Self:
        """This ring with a new primary; the primary of before is active.

        Args:
            suite: the new key's suite; None keeps that of the primary, so that a hybrid ring stays hybrid.
            beyond: a number that the new ring's must be greater than, as its own is in any case.
        """
        suite = suite or self.primary.public.suite
        older = [key.in_state(State.ACTIVE) if key.state is State.PRIMARY else key for key in self.keys]
        return type(self)([PrivateKey.generate(suite), *older], number=max(self.number, beyond) + 1)

    def retired(self, key_id: str) -> Self:
        """This ring with one key refused for new values; it still opens old ones.

        Raises:
            NightsafeError: INVALID, when it is the primary, or there is no such key.
        """
        gone = self._not_primary(key_id).in_state(State.RETIRED)
        return type(self)([gone if key.id == key_id else key for key in self.keys], number=self.number)

    def without(self, key_id: str) -> Self:
        """This ring without a retired key: what is sealed to it can then never be opened.

        Raises:
            NightsafeError: INVALID, when it is not retired, or there is no such key.
        """
        if self._not_primary(key_id).state is not State.RETIRED:
            raise problem(
                "private ring", f"the key {key_id} is not retired; retire it and seal its values again first"
            )
        return type(self)([key for key in self.keys if key.id != key_id], number=self.number)

    @classmethod
    def decode(cls, data: bytes, source: str = "private ring") -> Self:
        """Read a ring from a file's bytes.

        Raises:
            NightsafeError: INVALID, with the source and what is wrong, never with a key.
        """
        form = ring_file.decode(data, _File, source)
        ring_file.check_number(source, form.format, form.number)
        return cls([_key(entry, source) for entry in form.keys], source, form.number)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a ring from a file that nobody else may touch.

        Raises:
            NightsafeError: INVALID, with the path and what is wrong, never with a key.
        """
        return cls.decode(files.read(path, private=True), str(path))

    def encode(self) -> bytes:
        """The ring as a file's bytes: private keys in the clear."""
        entries = [_Entry(key.id, key.public.suite, key.state, key.private.reveal()) for key in self.keys]
        return ring_file.encode(_File(format=_FORMS[bool(self.number)], number=self.number, keys=entries))

    def save(self, path: Path, *, replace: bool = False) -> None:
        """Write the ring to a file of mode 0600, whole or not at all.

        Raises:
            NightsafeError: INVALID, when it cannot be written, or is there and may not be replaced.
        """
        files.write(path, self.encode(), private=True, replace=replace)

    def _not_primary(self, key_id: str) -> PrivateKey:
        """The key of this id; NightsafeError INVALID when it is the primary or there is none."""
        key = self.get(key_id)
        if key is None:
            raise problem("private ring", f"has no key {key_id}")
        if key.state is State.PRIMARY:
            raise problem("private ring", f"the key {key_id} is the primary; rotate first")
        return key


def _derive(suite: Suite, private: bytes) -> tuple[LoadedPrivateKey, bytes]:
    """The library's object and the public bytes, from the 32 private bytes (for X-Wing: its seed)."""
    if suite is Suite.X25519:
        key = X25519PrivateKey.from_private_bytes(private)
        return key, key.public_key().public_bytes_raw()
    expanded = shake_256(private).digest(_MLKEM_SEED_SIZE + _PRIVATE_SIZE)
    lattice = MLKEM768PrivateKey.from_seed_bytes(expanded[:_MLKEM_SEED_SIZE])
    curve = X25519PrivateKey.from_private_bytes(expanded[_MLKEM_SEED_SIZE:])
    public = lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
    return hpke.MLKEM768X25519PrivateKey(lattice, curve), public


def _key(entry: _Entry, source: str) -> PrivateKey:
    """A key out of its entry; NightsafeError INVALID when it is none, or not the one it says."""
    try:
        key = PrivateKey.load(entry.suite, entry.state, entry.private)
    except ValueError:
        raise problem(source, f"holds a private key that is not a usable {entry.suite} key") from None
    ring_file.check_id(source, entry.id, key.id)
    return key
