"""The roles in this package, one interface each: a sealer cannot open values, and only an opener can.

The API process has a `Sealer` and a `Verifier`. The delivery process has an `Opener` and a `Verifier`.
"""

from typing import TYPE_CHECKING, Protocol

from nightsafe.sealing.context import Context
from nightsafe.secret_value import SecretValue

if TYPE_CHECKING:  # loads cryptography, which a client needs only when it seals
    from nightsafe.merkle.checkpoint import Checkpoint
    from nightsafe.merkle.statements import StatementProof
    from nightsafe.sealing.rings.public_ring import PublicRing


class MessageSigner(Protocol):
    """Signs messages that begin with their own tag. Cannot sign values."""

    @property
    def id(self) -> str:
        """The signer id."""
        ...  # pragma: no cover

    def sign_message(self, message: bytes) -> bytes:
        """Sign a message.

        Args:
            message: made by `encoding.encode` with a tag unique to this kind of message, so that a signature over one
                kind is not valid for another.

        Returns:
            The 64 bytes of an Ed25519 signature.
        """
        ...  # pragma: no cover


class NoteSigner(MessageSigner, Protocol):
    """Signs the checkpoints of the log, whose text begins with the log's origin."""

    @property
    def public(self) -> bytes:
        """The Ed25519 public key, 32 bytes."""
        ...  # pragma: no cover


class Verifier(Protocol):
    """Checks the signatures of stored records and of messages."""

    def verify(self, context: Context, record: bytes) -> bytes:
        """Return the sealed value of a record that a trusted key signed for this context.

        Raises:
            NightsafeError: CANNOT_OPEN with the detail "cannot open", for every reason. Raises no other error.
        """
        ...  # pragma: no cover

    def verify_statement(self, digest: bytes, proof: "StatementProof") -> bool:
        """Return True if a trusted key signed the group commit that makes this statement, before its retirement."""
        ...  # pragma: no cover

    def open_checkpoint(self, note: bytes) -> "Checkpoint":
        """Return the checkpoint of a note that a trusted key has signed for the log that the checkpoint names.

        Raises:
            NightsafeError: CANNOT_OPEN or INVALID, with what is wrong; CANNOT_OPEN also when the key was retired at a
                smaller size of the log.
        """
        ...  # pragma: no cover

    def verify_message(self, signer_id: str, message: bytes, signature: bytes) -> bool:
        """Return True if the trusted key with this id signed this message; False if it is unknown or retired."""
        ...  # pragma: no cover


class Sealer(MessageSigner, Protocol):
    """Seals values, and accepts values that clients sealed. Cannot open values."""

    @property
    def ring(self) -> "PublicRing":
        """The public key ring in use."""
        ...  # pragma: no cover

    def seal(self, context: Context, value: SecretValue) -> bytes:
        """Seal a value so that it opens in this context only.

        Args:
            context: the place that the value belongs to.
            value: at most 1 MiB; it may be empty. This method does not wipe it.

        Raises:
            NightsafeError: INVALID, when the value is too long or the context is not text. Raises no other error.
        """
        ...  # pragma: no cover

    def check(self, sealed: bytes) -> None:
        """Refuse a sealed value that certainly does not open, now or before long.

        Args:
            sealed: any bytes at all.

        Raises:
            NightsafeError: INVALID, when the bytes are not a sealed value, or its key does not accept new values.
        """
        ...  # pragma: no cover


class Opener(Protocol):
    """Opens the stored records that a `Sealer` made."""

    def open(self, context: Context, record: bytes) -> SecretValue:
        """Open a record in the place where it was found.

        Args:
            context: the place where the record was found, never a context taken from the record.
            record: any bytes at all.

        Raises:
            NightsafeError: CANNOT_OPEN with the detail "cannot open", for every reason. Raises no other error.
        """
        ...  # pragma: no cover

    def open_named(self, signed: Context, sealed: Context, record: bytes) -> SecretValue:
        """Open a record signed for a different name than it was sealed to: a secret of a Secrets Store.

        Args:
            signed: the place where the record was found.
            sealed: the place that the value was sealed to, which differs only in its name.
            record: any bytes at all.

        Raises:
            NightsafeError: CANNOT_OPEN with the detail "cannot open", for every reason. Raises no other error.
        """
        ...  # pragma: no cover
