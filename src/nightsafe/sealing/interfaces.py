"""The interfaces of this package, most of them with a single method."""

from typing import Protocol

from nightsafe.sealing.context import Context
from nightsafe.secret_value import SecretValue


class Sealer(Protocol):
    """Seals a value for one context."""

    def seal(self, context: Context, value: SecretValue) -> bytes:
        """Seal a value so that it opens in this context only.

        Args:
            context: the place that the value belongs to.
            value: at most 1 MiB; it may be empty. This method does not wipe it.

        Raises:
            NightsafeError: INVALID, when the value is too long or the context is not text. Raises no other error.
        """
        ...  # pragma: no cover


class Opener(Protocol):
    """Opens values that a `Sealer` sealed."""

    def open(self, context: Context, record: bytes) -> SecretValue:
        """Open a record in the place where it was found.

        Args:
            context: the place where the record was found, never a context taken from the record.
            record: any bytes at all.

        Raises:
            NightsafeError: CANNOT_OPEN with the detail "cannot open", for every reason. Raises no other error.
        """
        ...  # pragma: no cover


class NamedOpener(Opener, Protocol):
    """Also opens records signed for a different name than they were sealed to: secrets of a Secrets Store."""

    def open_named(self, signed: Context, context: Context, record: bytes) -> SecretValue:
        """Open a record in the place where it was found.

        Args:
            signed: the place where the record was found.
            context: the place that the value was sealed to, which differs only in its name.
            record: any bytes at all.

        Raises:
            NightsafeError: CANNOT_OPEN with the detail "cannot open", for every reason. Raises no other error.
        """
        ...  # pragma: no cover


class Signer(Protocol):
    """Signs sealed values."""

    def sign(self, context: Context, sealed: bytes) -> bytes:
        """Make the stored record: the sealed value, signed for this context.

        Raises:
            NightsafeError: INVALID, when the context is not text. Raises no other error.
        """
        ...  # pragma: no cover


class Verifier(Protocol):
    """Checks the signatures of stored records."""

    def verify(self, context: Context, record: bytes) -> bytes:
        """Return the sealed value of a record that a trusted key signed for this context.

        Raises:
            NightsafeError: CANNOT_OPEN with the detail "cannot open", for every reason. Raises no other error.
        """
        ...  # pragma: no cover


class MessageSigner(Protocol):
    """Signs messages that begin with their own tag."""

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


class MessageVerifier(Protocol):
    """Checks the signatures of messages."""

    def verify_message(self, signer_id: str, message: bytes, signature: bytes) -> bool:
        """Return True if the trusted key with this id signed this message; False if that key is unknown."""
        ...  # pragma: no cover


class Countersigner(Protocol):
    """Signs sealed values that clients sealed."""

    def countersign(self, context: Context, sealed: bytes) -> bytes:
        """Make a stored record of a sealed value. This method cannot check that the value opens.

        Args:
            context: the place that the record is for.
            sealed: any bytes at all.

        Raises:
            NightsafeError: INVALID, when the bytes are not a sealed value, or its key does not accept new values.
        """
        ...  # pragma: no cover
