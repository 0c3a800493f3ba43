"""The public ring: what one needs to seal, and nothing one could open with."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Self

import msgspec
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from nightsafe.sealing import files, ring_file
from nightsafe.sealing.encoding import short_id
from nightsafe.sealing.ring_file import State, problem
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


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """The whole file."""

    format: Literal["nightsafe-public-ring/1"]
    keys: list[_Entry]


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

    Raises:
        NightsafeError: INVALID, when there is not exactly one primary, or a key is there twice.
    """

    __slots__ = ("_by_id", "keys", "primary")

    def __init__(self, keys: Iterable[PublicKey], source: str = "public ring") -> None:
        self.keys: Final = tuple(keys)
        ring_file.check_ring(source, self.keys)
        self.primary: Final = next(key for key in self.keys if key.state is State.PRIMARY)
        self._by_id: Final = {key.id: key for key in self.keys}

    def get(self, key_id: str) -> PublicKey | None:
        """The key of this id, in whatever state, or None."""
        return self._by_id.get(key_id)

    @classmethod
    def decode(cls, data: bytes, source: str = "public ring") -> Self:
        """Read a ring from a file's bytes.

        Raises:
            NightsafeError: INVALID, with the source and what is wrong.
        """
        return cls([_key(entry, source) for entry in ring_file.decode(data, _File, source).keys], source)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a ring from a file that nobody else may write to.

        Raises:
            NightsafeError: INVALID, with the path and what is wrong.
        """
        return cls.decode(files.read(path, private=False), str(path))

    def encode(self) -> bytes:
        """The ring as a file's bytes."""
        entries = [_Entry(key.id, key.suite, key.state, key.public) for key in self.keys]
        return ring_file.encode(_File("nightsafe-public-ring/1", entries))

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
