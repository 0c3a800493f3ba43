"""The private ring, which opens values. Only the delivery process and the key commands import this module."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from hashlib import shake_256
from typing import Final, Literal, Self

import msgspec
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from nightsafe.sealing.key_file import KeyFile
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
        """Show only the id, never the private key."""
        return f"_Entry({self.id})"


class _File(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The whole file; format 2 has a number."""

    format: Literal["nightsafe-private-ring/1", "nightsafe-private-ring/2"]
    number: ring_file.Number = 0
    keys: list[_Entry]


_FORMATS: Final[dict[bool, Literal["nightsafe-private-ring/1", "nightsafe-private-ring/2"]]] = {
    False: "nightsafe-private-ring/1",
    True: "nightsafe-private-ring/2",
}


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A private key that opens values.

    Attributes:
        public: its public half, with id, suite and state.
        private: the 32 bytes that both halves are derived from.
        loaded: the cryptography library's object, kept so that opening does not parse the key again.
    """

    public: PublicKey
    private: SecretValue
    loaded: LoadedPrivateKey = field(repr=False, compare=False)

    @classmethod
    def load(cls, suite: Suite, state: State, private: bytes) -> Self:
        """Derive both halves from the private bytes.

        Raises:
            ValueError: when `private` is not 32 bytes long.
        """
        if len(private) != _PRIVATE_SIZE:
            raise ValueError("a private key has 32 bytes")
        loaded, public = _derive(suite, private)
        return cls(PublicKey.load(suite, state, public), SecretValue(private), loaded)

    @classmethod
    def generate(cls, suite: Suite) -> Self:
        """Make a new primary key from the system's random source."""
        return cls.load(suite, State.PRIMARY, secrets.token_bytes(_PRIVATE_SIZE))

    @property
    def id(self) -> str:
        """The key's id, the same as its public half's."""
        return self.public.id

    @property
    def state(self) -> State:
        """The uses that the key still has; it opens values in every state."""
        return self.public.state

    def in_state(self, state: State) -> Self:
        """Return the same key in another state."""
        return replace(self, public=replace(self.public, state=state))


class PrivateRing(KeyFile):
    """One primary key, and older keys by id. Rings are immutable: a change returns a new ring.

    Args:
        keys: the keys, in any order.
        source: the ring's name in an error message.
        number: see `ring_file.Number`; each rotation adds one.

    Raises:
        NightsafeError: INVALID, when the ring does not have exactly one primary, or has a key twice.
    """

    __slots__ = ("_by_id", "keys", "number")
    is_private = True

    def __init__(self, keys: Iterable[PrivateKey], source: str = "private ring", number: int = 0) -> None:
        self.keys: Final = tuple(keys)
        self.number: Final = number
        ring_file.check_ring(source, self.keys)
        self._by_id: Final = {key.id: key for key in self.keys}

    @classmethod
    def generate(cls, suite: Suite = Suite.X25519) -> Self:
        """Make a ring with one new key."""
        return cls([PrivateKey.generate(suite)], number=1)

    def get(self, key_id: str) -> PrivateKey | None:
        """Return the key with this id in any state, or None."""
        return self._by_id.get(key_id)

    @property
    def primary(self) -> PrivateKey:
        """The key to which new values are sealed."""
        return next(key for key in self.keys if key.state is State.PRIMARY)

    def public(self) -> PublicRing:
        """Return this ring's public ring, without its lineage, which `ring_signer` adds."""
        return PublicRing([key.public for key in self.keys], number=self.number)

    def as_successor_of(self, current: Self, source: str = "private ring") -> Self:
        """Check that this ring can replace another ring of the same safe, and return it.

        Raises:
            NightsafeError: INVALID, when this ring is the older one: it lacks a key that values are sealed to.
        """
        ring_file.check_not_older(source, self.number, current.number)
        return self

    def check_covers(self, ring: PublicRing) -> None:
        """Refuse a public ring if this ring cannot open every value that could be sealed to it.

        Raises:
            NightsafeError: INVALID, with the id of the first public key without a private key in this ring.
        """
        for public_key in ring.keys:
            private_key = self.get(public_key.id)
            if private_key is None or private_key.public.public != public_key.public:
                raise problem("public ring", f"the private ring has no key {public_key.id}")

    def rotated(self, suite: Suite | None = None, beyond: int = 0) -> Self:
        """Return this ring with a new primary; the previous primary becomes active.

        Args:
            suite: the new key's suite; None keeps the primary's suite, so that a hybrid ring stays hybrid.
            beyond: the new ring's number must exceed both this number and this ring's number.
        """
        suite = suite or self.primary.public.suite
        older = [key.in_state(State.ACTIVE) if key.state is State.PRIMARY else key for key in self.keys]
        return type(self)([PrivateKey.generate(suite), *older], number=max(self.number, beyond) + 1)

    def retired(self, key_id: str) -> Self:
        """Return this ring with one key retired: the key accepts no new values, but still opens old ones.

        Raises:
            NightsafeError: INVALID, when the key is the primary or is not in the ring.
        """
        retired = self._require_not_primary(key_id).in_state(State.RETIRED)
        return type(self)([retired if key.id == key_id else key for key in self.keys], number=self.number)

    def without(self, key_id: str) -> Self:
        """Return this ring without a retired key: values sealed to that key can then never be opened.

        Raises:
            NightsafeError: INVALID, when the key is not retired or is not in the ring.
        """
        if self._require_not_primary(key_id).state is not State.RETIRED:
            raise problem("private ring", f"the key {key_id} is not retired; first retire it and reseal its values")
        return type(self)([key for key in self.keys if key.id != key_id], number=self.number)

    @classmethod
    def decode(cls, data: bytes, source: str = "private ring") -> Self:
        """Read a ring from a file's bytes.

        Raises:
            NightsafeError: INVALID, with the source and what is wrong, never with a key.
        """
        file = ring_file.decode(data, _File, source)
        ring_file.check_number(source, file.format, file.number)
        return cls([_key(entry, source) for entry in file.keys], source, file.number)

    def encode(self) -> bytes:
        """Return the ring as a file's bytes, with the private keys in the clear."""
        entries = [_Entry(key.id, key.public.suite, key.state, key.private.reveal()) for key in self.keys]
        return ring_file.encode(_File(format=_FORMATS[bool(self.number)], number=self.number, keys=entries))

    def _require_not_primary(self, key_id: str) -> PrivateKey:
        """Return the key with this id; raise NightsafeError INVALID if it is the primary or missing."""
        key = self.get(key_id)
        if key is None:
            raise problem("private ring", f"has no key {key_id}")
        if key.state is State.PRIMARY:
            raise problem("private ring", f"the key {key_id} is the primary; rotate first")
        return key


def _derive(suite: Suite, private: bytes) -> tuple[LoadedPrivateKey, bytes]:
    """Derive the library's object and the public bytes from the 32 private bytes (for X-Wing, its seed)."""
    if suite is Suite.X25519:
        key = X25519PrivateKey.from_private_bytes(private)
        return key, key.public_key().public_bytes_raw()
    expanded = shake_256(private).digest(_MLKEM_SEED_SIZE + _PRIVATE_SIZE)
    lattice = MLKEM768PrivateKey.from_seed_bytes(expanded[:_MLKEM_SEED_SIZE])
    curve = X25519PrivateKey.from_private_bytes(expanded[_MLKEM_SEED_SIZE:])
    public = lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
    return hpke.MLKEM768X25519PrivateKey(lattice, curve), public


def _key(entry: _Entry, source: str) -> PrivateKey:
    """Load a key from its entry; raise NightsafeError INVALID if it is unusable or its stated id is wrong."""
    try:
        key = PrivateKey.load(entry.suite, entry.state, entry.private)
    except ValueError:
        raise problem(source, f"holds a private key that is not a usable {entry.suite} key") from None
    ring_file.check_id(source, entry.id, key.id)
    return key
