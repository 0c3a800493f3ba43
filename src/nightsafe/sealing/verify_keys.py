"""The keys whose signatures the delivery process trusts."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Annotated, Final, Literal, Self

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from nightsafe.errors import Code, NightsafeError
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

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?")
_ID: Final = re.compile(r"[0-9a-f]{16}")


class _Entry(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One key in the file. Its first form has only the id and the public key."""

    id: str
    public: bytes
    name: str = ""
    until: Annotated[int, msgspec.Meta(ge=0, le=1 << 53)] | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """The whole file."""

    format: Literal["nightsafe-verify-keys/1", "nightsafe-verify-keys/2"]
    keys: list[_Entry]


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """The public half of a signing key.

    Attributes:
        id: derived from the public bytes.
        public: 32 bytes.
        loaded: the cryptography library's object, kept so that a check does not parse the key again.
        name: the name of its node; "" for the first node of a safe.
        until: for a retired key, the number of the log's entries when it was retired.
    """

    id: str
    public: bytes
    loaded: Ed25519PublicKey = field(repr=False, compare=False)
    name: str = ""
    until: int | None = None

    @classmethod
    def load(cls, public: bytes) -> Self:
        """Parse a public key.

        Raises:
            ValueError: when the bytes are not an Ed25519 public key.
        """
        loaded = Ed25519PublicKey.from_public_bytes(public)
        return cls(short_id(b"nightsafe signer id v1", public), public, loaded)

    @property
    def words(self) -> str:
        """The key in a message."""
        return f"{self.id} of the node {self.name}" if self.name else self.id

    def may_sign(self, size: int) -> bool:
        """Return False if a log of this size is younger than the key's retirement."""
        return self.until is None or size <= self.until

    def is_signature(self, message: bytes, signature: bytes) -> bool:
        """Return True if this key made the signature over the message."""
        try:
            self.loaded.verify(signature, message)
        except InvalidSignature:
            return False
        return True


def check_node_name(name: str) -> None:
    """Refuse a text that cannot name a node.

    Raises:
        NightsafeError: INVALID.
    """
    if not _NAME.fullmatch(name) or _ID.fullmatch(name):
        raise NightsafeError(
            Code.INVALID,
            "the name of a node has at most 63 lower-case letters, digits, dots and hyphens, begins and ends with a"
            " letter or digit, and is not the id of a key",
        )


class VerifyKeys(KeyFile):
    """Trusted keys by id, as a `Verifier`.

    Args:
        keys: at least one key.
        source: the keys' name in an error message.

    Raises:
        NightsafeError: INVALID, when there is no key, or a key or a name is there twice.
    """

    __slots__ = ("_by_id", "_valid", "keys")
    is_private = False

    def __init__(self, keys: Iterable[VerifyKey], source: str = "verification keys") -> None:
        self.keys: Final = tuple(keys)
        ring_file.check_unique(source, [key.id for key in self.keys])
        names = Counter(key.name for key in self.keys if key.name)
        if names and names.most_common(1)[0][1] > 1:
            raise problem(source, f"has the name {names.most_common(1)[0][0]} more than once")
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
        key = self._by_id.get(parsed.signer_id)  # the record is older than the log, and so than any retirement
        if key is None or not key.is_signature(message, parsed.signature):
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
        """Return True if a trusted key signed the group commit that makes this statement, before its retirement."""
        text = proof.signed_text(digest)
        return text is not None and self.verify_checkpoint(proof.signer_id, proof.size, text, proof.signature)

    def verify_checkpoint(self, signer_id: str, size: int, text: bytes, signature: bytes) -> bool:
        """Return True if the trusted key with this id signed a checkpoint, and was not yet retired at its size.

        Valid signatures are remembered: statements of one group share one.
        """
        seen = (signer_id, text, signature)
        if seen in self._valid:
            return True
        key = self._by_id.get(signer_id)
        if key is None or not key.may_sign(size) or not key.is_signature(text, signature):
            return False
        if len(self._valid) >= _MAX_VALID:
            self._valid.clear()
        self._valid.add(seen)
        return True

    def why_too_late(self, signer_id: str, size: int) -> str:
        """Return why a key may not sign a checkpoint of this size; "" unless it was retired before."""
        key = self._by_id.get(signer_id)
        return "" if key is None or key.may_sign(size) else _too_late(key, size)

    def open_checkpoint(self, note: bytes) -> Checkpoint:
        """Return the checkpoint of a note that a trusted key has signed for the log that the checkpoint names.

        Raises:
            NightsafeError: CANNOT_OPEN or INVALID, as for `open_note`; CANNOT_OPEN also when the key was retired at a
                smaller size of the log.
        """
        unchecked = read_note(note)
        keys = [key for key in self.keys if key.may_sign(unchecked.size)]
        late = [key for key in self.keys if key not in keys]
        try:
            return open_note(note, [NoteKey(unchecked.origin, key.public) for key in keys])
        except NightsafeError:
            for key in late:
                if _has_signed(note, [key]):
                    raise NightsafeError(Code.CANNOT_OPEN, _too_late(key, unchecked.size)) from None
            raise

    def names_signer(self, note: bytes) -> bool:
        """Return False if a checkpoint names signers, but none of these keys. The signatures are not checked."""
        try:
            return _has_signed(note, self.keys)
        except NightsafeError:
            return True

    def verify_message(self, signer_id: str, message: bytes, signature: bytes) -> bool:
        """Return True if the trusted key with this id signed this message; False if it is unknown or retired."""
        key = self._by_id.get(signer_id)
        return key is not None and key.until is None and key.is_signature(message, signature)

    def get(self, key_id: str) -> VerifyKey | None:
        """Return the key with an id, or None."""
        return self._by_id.get(key_id)

    def with_key(self, key: VerifyKey) -> "VerifyKeys":
        """Return these keys with another one, or with a changed one in its place."""
        others = [key if other.id == key.id else other for other in self.keys]
        return VerifyKeys(others if key in others else [*others, key])

    def retired(self, key: VerifyKey, until: int) -> "VerifyKeys":
        """Return these keys with one of them retired at a size of the log."""
        return self.with_key(replace(key, until=until))

    @classmethod
    def decode(cls, data: bytes, source: str = "verification keys") -> Self:
        """Read the keys from a file's bytes.

        Raises:
            NightsafeError: INVALID, with the source and what is wrong.
        """
        file = ring_file.decode(data, _File, source)
        return cls([_key(entry, source, file.format) for entry in file.keys], source)

    def encode(self) -> bytes:
        """Return the keys as a file's bytes."""
        entries = [_Entry(key.id, key.public, key.name, key.until) for key in self.keys]
        is_first_form = all(not key.name and key.until is None for key in self.keys)
        form: Literal["nightsafe-verify-keys/1", "nightsafe-verify-keys/2"]
        form = "nightsafe-verify-keys/1" if is_first_form else "nightsafe-verify-keys/2"
        return ring_file.encode(_File(form, entries))


def _key(entry: _Entry, source: str, form: str) -> VerifyKey:
    """Load a key from its entry; raise NightsafeError INVALID if it is unusable or its stated id is wrong."""
    try:
        key = VerifyKey.load(entry.public)
    except ValueError:
        raise problem(source, "holds a public key that is not a usable Ed25519 key") from None
    ring_file.check_id(source, entry.id, key.id)
    if form.endswith("/1") and (entry.name or entry.until is not None):
        raise problem(source, f"is of format {form}, which has no names and no retired keys")
    if entry.name:
        try:
            check_node_name(entry.name)
        except NightsafeError as error:
            raise problem(source, error.problems[0].detail) from None
    return replace(key, name=entry.name, until=entry.until)


def _has_signed(note: bytes, keys: Iterable[VerifyKey]) -> bool:
    """Return True if a note has a signature line of one of the keys. The signature is not checked."""
    origin = read_note(note).origin
    signers = {key_id for _, key_id, _ in signatures(note.rpartition(b"\n\n")[2])}
    return not signers.isdisjoint(NoteKey(origin, key.public).id for key in keys)


def _too_late(key: VerifyKey, size: int) -> str:
    """Return why a key may not sign a checkpoint of this size."""
    return (
        f"the checkpoint of {size} entries was signed with the key {key.words}, which was retired when the log had"
        f" {key.until}"
    )
