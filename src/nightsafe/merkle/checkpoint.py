"""Signed checkpoints of a log: C2SP tlog-checkpoint in a C2SP signed note, with Ed25519 signatures.

A checkpoint has the log's origin, its size and its root. Nightsafe adds one extension line, which names the
statements of the last group commit: see `docs/sealed-format.md`, "Proof of a statement".
"""

import base64
import binascii
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.tree import HASH_SIZE

SIGNATURE_SIZE: Final = 64
_ED25519: Final = b"\x01"
_KEY_ID_SIZE: Final = 4
_DASH: Final = "— "
_STATEMENTS: Final = "statements"
_MAX_DIGITS: Final = 19


class Checkpoint(msgspec.Struct, frozen=True):
    """The head of a log.

    Attributes:
        origin: the unique name of the log.
        size: the number of its entries.
        root: the root of its tree, 32 bytes.
        extensions: further lines, without their newlines.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> bytes:
        """Return the note's text, which the signatures cover."""
        lines = (self.origin, str(self.size), _base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines).encode()

    @classmethod
    def parse(cls, text: bytes) -> "Checkpoint":
        """Parse a note's text.

        Raises:
            NightsafeError: INVALID, when it is not a checkpoint.
        """
        try:
            origin, size, root, *extensions, end = text.decode().split("\n")
            checkpoint = cls(origin, _number(size), _hash(root), tuple(extensions))
        except ValueError:
            raise _invalid() from None
        if end or not origin or not all(extensions) or checkpoint.text() != text:
            raise _invalid()
        return checkpoint


class NoteKey(msgspec.Struct, frozen=True):
    """A key that signs notes.

    Attributes:
        name: the name in its signature lines; for a log, its origin.
        public: the Ed25519 public key, 32 bytes.
    """

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """The four bytes with which each of its signatures begins."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_KEY_ID_SIZE]

    def encode(self) -> str:
        """Return the key as a verifier key, in the form that tools for signed notes take."""
        return f"{self.name}+{self.id.hex()}+{_base64(_ED25519 + self.public)}"

    def line(self, signature: bytes) -> bytes:
        """Return the signature line of a signature by this key."""
        return signature_line(self.name, self.id, signature)

    def verify(self, text: bytes, signature: bytes) -> bool:
        """Return True if this key made the signature over the text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True


def signature_line(name: str, key_id: bytes, signature: bytes) -> bytes:
    """Return the line of a signature in a note."""
    return f"{_DASH}{name} {_base64(key_id + signature)}\n".encode()


def statements_line(count: int, root: bytes) -> str:
    """Return the extension line that names the statements of a group commit.

    Args:
        count: how many statements it has.
        root: the root of the tree of their digests, 32 bytes.
    """
    return f"{_STATEMENTS} {count} {_base64(root)}"


def read_note(note: bytes) -> Checkpoint:
    """Return the checkpoint of a note without checking its signatures.

    Raises:
        NightsafeError: INVALID, when it is not a signed checkpoint.
    """
    text, separator, _ = note.rpartition(b"\n\n")
    if not separator:
        raise _invalid()
    return Checkpoint.parse(text + b"\n")


def open_note(note: bytes, keys: Iterable[NoteKey]) -> Checkpoint:
    """Return the checkpoint of a note that one of the keys has signed.

    Signatures by other keys are ignored, as C2SP signed-note demands.

    Raises:
        NightsafeError: CANNOT_OPEN, when none of the keys has signed it, or a signature in the name of a key is
            wrong; INVALID, when it is not a signed checkpoint.
    """
    checkpoint, lines = read_note(note), note.rpartition(b"\n\n")[2]
    text = checkpoint.text()
    known = {(key.name, key.id): key for key in keys}
    signed = False
    for name, key_id, signature in signatures(lines):
        key = known.get((name, key_id))
        if key is None:
            continue
        if not key.verify(text, signature):
            raise NightsafeError(Code.CANNOT_OPEN, f"the signature of {name} on the checkpoint is wrong")
        signed = True
    if not signed:
        raise NightsafeError(Code.CANNOT_OPEN, "no trusted key has signed the checkpoint")
    return checkpoint


def signatures(lines: bytes) -> list[tuple[str, bytes, bytes]]:
    """Return name, key id and signature of each signature line."""
    found = []
    try:
        for line in lines.decode().removesuffix("\n").split("\n"):
            name, encoded = line.removeprefix(_DASH).rsplit(" ", 1)
            data = base64.b64decode(encoded, validate=True)
            if not line.startswith(_DASH) or not name or len(data) <= _KEY_ID_SIZE:
                raise _invalid()
            found.append((name, data[:_KEY_ID_SIZE], data[_KEY_ID_SIZE:]))
    except (ValueError, binascii.Error):
        raise _invalid() from None
    return found


def _number(digits: str) -> int:
    """Return a decimal number without leading zeros; raise ValueError for any other text."""
    if not (digits.isascii() and digits.isdigit()) or len(digits) > _MAX_DIGITS or str(int(digits)) != digits:
        raise ValueError("not a number")
    return int(digits)


def _hash(text: str) -> bytes:
    """Return the hash that a text encodes; raise ValueError for any other text."""
    data = base64.b64decode(text, validate=True)
    if len(data) != HASH_SIZE:
        raise ValueError("not a hash")
    return data


def _base64(data: bytes) -> str:
    """Encode bytes in Base64 with padding (RFC 4648, section 4)."""
    return base64.b64encode(data).decode()


def _invalid() -> NightsafeError:
    """Return the error for bytes that are not a signed checkpoint."""
    return NightsafeError(Code.INVALID, "not a signed checkpoint of a log")
