"""The keys whose signatures the delivery process trusts."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, Self

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from nightsafe.errors import NightsafeError
from nightsafe.merkle.checkpoint import Checkpoint, NoteKey, open_note, read_note, signatures
from nightsafe.merkle.statements import StatementProof
from nightsafe.sealing.context import Context
from nightsafe.sealing.encoding import short_id
from nightsafe.sealing.key_file import KeyFile
from nightsafe.sealing.proven_record import PROVEN_MAGIC, ProvenRecord, put_digest
from nightsafe.sealing.record import Record, cannot_open
from nightsafe.sealing.rings import ring_file
from nightsafe.sealing.rings.ring_file import problem

_MAX_VALID: Final = 1024
"""The number of signatures that are remembered as valid."""


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    """One key in the file."""

    id: str
    public: bytes


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """The whole file."""

    format: Literal["nightsafe-verify-keys/1"]
    keys: list[_Entry]


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """The public half of a signing key.

    Attributes:
        id: derived from the public bytes.
        public: 32 bytes.
        loaded: the cryptography library's object, kept so that a check does not parse the key again.
    """

    id: str
    public: bytes
    loaded: Ed25519PublicKey = field(repr=False, compare=False)

    @classmethod
    def load(cls, public: bytes) -> Self:
        """Parse a public key.

        Raises:
            ValueError: when the bytes are not an Ed25519 public key.
        """
        loaded = Ed25519PublicKey.from_public_bytes(public)
        return cls(short_id(b"nightsafe signer id v1", public), public, loaded)


class VerifyKeys(KeyFile):
    """Trusted keys by id, as a `Verifier`.

    Args:
        keys: at least one key.
        source: the keys' name in an error message.

    Raises:
        NightsafeError: INVALID, when there is no key, or a key is there twice.
    """

    __slots__ = ("_by_id", "_valid", "keys")
    is_private = False

    def __init__(self, keys: Iterable[VerifyKey], source: str = "verification keys") -> None:
        self.keys: Final = tuple(keys)
        ring_file.check_unique(source, [key.id for key in self.keys])
        self._by_id: Final = {key.id: key for key in self.keys}
        self._valid: Final[set[tuple[str, bytes, bytes]]] = set()

    def verify(self, context: Context, record: bytes) -> bytes:
        """Return the sealed value of a record that a trusted key signed for this context.

        Raises:
            NightsafeError: CANNOT_OPEN, for every reason.
        """
        if record.startswith(PROVEN_MAGIC):
            return self._verify_proven(context, record)
        parsed = Record.parse(record)
        try:
            message = context.signed_message(parsed.sealed, parsed.signer_id)
        except NightsafeError:
            raise cannot_open() from None
        if not self.verify_message(parsed.signer_id, message, parsed.signature):
            raise cannot_open()
        return parsed.sealed

    def _verify_proven(self, context: Context, record: bytes) -> bytes:
        """Do the same as `verify` for a record of version 2."""
        parsed = ProvenRecord.parse(record)
        try:
            digest = put_digest(context.record_digest(parsed.sealed), parsed.since)
        except NightsafeError:
            raise cannot_open() from None
        if not self.verify_statement(digest, parsed.proof):
            raise cannot_open()
        return parsed.sealed

    def verify_statement(self, digest: bytes, proof: StatementProof) -> bool:
        """Return True if a trusted key signed the group commit that makes this statement."""
        text = proof.signed_text(digest)
        return text is not None and self._verify_text(proof.signer_id, text, proof.signature)

    def _verify_text(self, signer_id: str, text: bytes, signature: bytes) -> bool:
        """Do the same as `verify_message`, and remember what is valid: statements of one group share a signature."""
        key = (signer_id, text, signature)
        if key in self._valid:
            return True
        if not self.verify_message(signer_id, text, signature):
            return False
        if len(self._valid) >= _MAX_VALID:
            self._valid.clear()
        self._valid.add(key)
        return True

    def open_checkpoint(self, note: bytes) -> Checkpoint:
        """Return the checkpoint of a note that a trusted key has signed for the log that the checkpoint names.

        Raises:
            NightsafeError: CANNOT_OPEN or INVALID, as for `open_note`.
        """
        origin = read_note(note).origin
        return open_note(note, [NoteKey(origin, key.public) for key in self.keys])

    def names_signer(self, note: bytes) -> bool:
        """Return False if a checkpoint names signers, but none of these keys. The signatures are not checked."""
        try:
            origin = read_note(note).origin
            signers = {key_id for _, key_id, _ in signatures(note.rpartition(b"\n\n")[2])}
        except NightsafeError:
            return True
        return not signers.isdisjoint(NoteKey(origin, key.public).id for key in self.keys)

    def verify_message(self, signer_id: str, message: bytes, signature: bytes) -> bool:
        """Return True if the trusted key with this id signed this message; False if that key is unknown."""
        key = self._by_id.get(signer_id)
        if key is None:
            return False
        try:
            key.loaded.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    @classmethod
    def decode(cls, data: bytes, source: str = "verification keys") -> Self:
        """Read the keys from a file's bytes.

        Raises:
            NightsafeError: INVALID, with the source and what is wrong.
        """
        return cls([_key(entry, source) for entry in ring_file.decode(data, _File, source).keys], source)

    def encode(self) -> bytes:
        """Return the keys as a file's bytes."""
        return ring_file.encode(_File("nightsafe-verify-keys/1", [_Entry(key.id, key.public) for key in self.keys]))


def _key(entry: _Entry, source: str) -> VerifyKey:
    """Load a key from its entry; raise NightsafeError INVALID if it is unusable or its stated id is wrong."""
    try:
        key = VerifyKey.load(entry.public)
    except ValueError:
        raise problem(source, "holds a public key that is not a usable Ed25519 key") from None
    ring_file.check_id(source, entry.id, key.id)
    return key
