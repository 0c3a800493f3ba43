"""The interfaces of this package: one method each."""

from typing import Protocol

from nightsafe.sealing.context import Context
from nightsafe.secret_value import SecretValue


class Sealer(Protocol):
    """Closes a value for one place."""

    def seal(self, context: Context, value: SecretValue) -> bytes:
        """Seal a value so that it opens in this context only.

        Args:
            context: the place it belongs to.
            value: at most 1 MiB; it may be empty. It is not wiped.

        Raises:
            NightsafeError: INVALID, when the value is too long or the context is not text; and nothing else.
        """
        ...  # pragma: no cover


class Opener(Protocol):
    """Opens what a `Sealer` closed."""

    def open(self, context: Context, record: bytes) -> SecretValue:
        """Open a record in the place it was found.

        Args:
            context: the place it was found in, never one taken from the record.
            record: any bytes at all.

        Raises:
            NightsafeError: CANNOT_OPEN with the detail "cannot open", whatever the reason; and nothing else.
        """
        ...  # pragma: no cover


class NamedOpener(Opener, Protocol):
    """Opens also what is signed for another name than it was sealed to: a secret of a Secrets Store."""

    def open_named(self, signed: Context, context: Context, record: bytes) -> SecretValue:
        """Open a record in the place it was found.

        Args:
            signed: the place it was found in.
            context: the place it was sealed to, which differs in its name only.
            record: any bytes at all.

        Raises:
            NightsafeError: CANNOT_OPEN with the detail "cannot open", whatever the reason; and nothing else.
        """
        ...  # pragma: no cover


class Signer(Protocol):
    """Vouches for a sealed value."""

    def sign(self, context: Context, sealed: bytes) -> bytes:
        """Make the stored record: the sealed value, signed for this context.

        Raises:
            NightsafeError: INVALID, when the context is not text; and nothing else.
        """
        ...  # pragma: no cover


class Verifier(Protocol):
    """Tells a record that was vouched for from any other."""

    def verify(self, context: Context, record: bytes) -> bytes:
        """Give the sealed value out of a record signed by a trusted key for this context.

        Raises:
            NightsafeError: CANNOT_OPEN with the detail "cannot open", whatever the reason; and nothing else.
        """
        ...  # pragma: no cover


class MessageSigner(Protocol):
    """Vouches for a message that begins with a tag of its own."""

    @property
    def id(self) -> str:
        """The signer id."""
        ...  # pragma: no cover

    def sign_message(self, message: bytes) -> bytes:
        """Sign a message.

        Args:
            message: made by `encoding.encode` with a tag that nothing else has, so that no signature over one kind of
                thing is good for another.

        Returns:
            The 64 bytes of an Ed25519 signature.
        """
        ...  # pragma: no cover


class MessageVerifier(Protocol):
    """Tells a message that was vouched for from any other."""

    def verify_message(self, signer_id: str, message: bytes, signature: bytes) -> bool:
        """Whether the trusted key of this id has signed this message; False also when there is no such key."""
        ...  # pragma: no cover


class Countersigner(Protocol):
    """Vouches for a sealed value that came from elsewhere."""

    def countersign(self, context: Context, sealed: bytes) -> bytes:
        """Make a stored record of a sealed value. Whether it opens cannot be told here.

        Args:
            context: the place the record is for.
            sealed: any bytes at all.

        Raises:
            NightsafeError: INVALID, when it is no sealed value, or not under a key that takes new values.
        """
        ...  # pragma: no cover
