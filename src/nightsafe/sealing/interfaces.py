"""The roles in this package, one interface each: a sealer cannot open values, and only an opener can.

The API process has a `Sealer`, a `Signer` and a `Verifier`. The delivery process has an `Opener` and a `Verifier`.
"""

from typing import TYPE_CHECKING, Protocol

from nightsafe.sealing.context import Context
from nightsafe.secret_value import SecretValue

if TYPE_CHECKING:  # loads cryptography, which a client needs only when it seals
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


class Signer(MessageSigner, Protocol):
    """Signs sealed values, and messages to the delivery process."""

    def sign(self, context: Context, sealed: bytes) -> bytes:
        """Make the stored record: the sealed value, signed for this context.

        Raises:
            NightsafeError: INVALID, when the context is not text. Raises no other error.
        """
        ...  # pragma: no cover


class Verifier(Protocol):
    """Checks the signatures of stored records and of messages."""

    def verify(self, context: Context, record: bytes) -> bytes:
        """Return the sealed value of a record that a trusted key signed for this context.

        Raises:
            NightsafeError: CANNOT_OPEN with the detail "cannot open", for every reason. Raises no other error.
        """
        ...  # pragma: no cover

    def verify_message(self, signer_id: str, message: bytes, signature: bytes) -> bool:
        """Return True if the trusted key with this id signed this message; False if that key is unknown."""
        ...  # pragma: no cover


class Sealer(MessageSigner, Protocol):
    """Makes stored records: seals values and signs them, and signs values that clients sealed. Cannot open values."""

    @property
    def ring(self) -> "PublicRing":
        """The public key ring in use."""
        ...  # pragma: no cover

    def seal(self, context: Context, value: SecretValue) -> bytes:
        """Make a stored record of a value, which opens in this context only.

        Args:
            context: the place that the value belongs to.
            value: at most 1 MiB; it may be empty. This method does not wipe it.

        Raises:
            NightsafeError: INVALID, when the value is too long or the context is not text. Raises no other error.
        """
        ...  # pragma: no cover

    def countersign(self, context: Context, sealed: bytes) -> bytes:
        """Make a stored record of a sealed value. This method cannot check that the value opens.

        Args:
            context: the place that the record is for.
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
