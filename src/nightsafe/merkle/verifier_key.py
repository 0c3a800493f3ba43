"""Verifier keys, the texts with which tools for signed notes name public keys: C2SP signed-note, "Verifier keys"."""

import base64
import binascii
import re
import unicodedata
from hashlib import sha256
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.checkpoint import NoteKey

ED25519: Final = 1
"""The type of Ed25519 signatures over a note's text, as logs make them."""

COSIGNATURE: Final = 4
"""The type of Ed25519 cosignatures with a time, as witnesses make them."""

_PUBLIC_SIZE: Final = 32
_ID: Final = re.compile(r"[0-9a-f]{8}")
_ID_SIZE: Final = 4
_PARTS: Final = 3
_MAX_NAME: Final = 255


class VerifierKey(NamedTuple):
    """A parsed verifier key.

    Attributes:
        name: the key's name; for a log, its origin.
        type: the type of its signatures.
        public: the Ed25519 public key, 32 bytes.
    """

    name: str
    type: int
    public: bytes

    @property
    def id(self) -> bytes:
        """The four bytes with which each of its signatures begins."""
        return sha256(self.name.encode() + b"\n" + bytes((self.type,)) + self.public).digest()[:_ID_SIZE]

    def encode(self) -> str:
        """Return the key as the text that `parse` reads."""
        encoded = base64.b64encode(bytes((self.type,)) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{encoded}"

    @classmethod
    def parse(cls, text: str, kind: int) -> "VerifierKey":
        """Parse a verifier key.

        Args:
            text: the key.
            kind: the only type to accept.

        Raises:
            NightsafeError: INVALID, with what is wrong.
        """
        parts = text.split("+", _PARTS - 1)
        if len(parts) != _PARTS or not is_key_name(parts[0]) or not _ID.fullmatch(parts[1]):
            raise _invalid("it must have the form NAME+ID+KEY, with an id of eight hex digits")
        name, key_id, encoded = parts
        try:
            material = base64.b64decode(encoded, validate=True)
        except (ValueError, binascii.Error):
            raise _invalid(f"the key of {name} is not Base64") from None
        if material[:1] != bytes((kind,)) or len(material) != 1 + _PUBLIC_SIZE:
            wanted = "a witness's cosignatures (type 4)" if kind == COSIGNATURE else "a log's signatures (type 1)"
            raise _invalid(f"the key of {name} is not an Ed25519 key for {wanted}")
        key = cls(name, kind, material[1:])
        if key.encode() != text:
            raise _invalid(f"the id {key_id} does not belong to the key of {name}")
        try:
            Ed25519PublicKey.from_public_bytes(key.public)
        except ValueError:
            raise _invalid(f"the key of {name} is not a usable Ed25519 key") from None
        return key

    def note_key(self) -> NoteKey:
        """Return a log's key as one that opens its notes."""
        return NoteKey(self.name, self.public)


def is_key_name(name: str) -> bool:
    """Return True if a text can name a key: not empty, without spaces, control characters and plus signs."""
    return (
        0 < len(name.encode("utf-8", "surrogatepass")) <= _MAX_NAME
        and "+" not in name
        and not any(unicodedata.category(character)[0] in "ZC" for character in name)
    )


def _invalid(reason: str) -> NightsafeError:
    """Return the refusal of a text."""
    return NightsafeError(Code.INVALID, f"not a verifier key: {reason}")
