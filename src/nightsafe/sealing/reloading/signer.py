"""Signs as long as the file of verify keys lists the key, so that a retired node stops at once."""

from typing import Final

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.reloading.key_file import ReloadedFile
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys


class ReloadingSigner:
    """A signing key that refuses to sign what nobody would trust.

    Args:
        key: the node's signing key.
        keys: the file of verify keys.
    """

    __slots__ = ("_key", "_keys")

    def __init__(self, key: SigningKey, keys: ReloadedFile[VerifyKeys]) -> None:
        self._key: Final = key
        self._keys: Final = keys

    @property
    def id(self) -> str:
        """The signer id."""
        return self._key.id

    @property
    def public(self) -> bytes:
        """The Ed25519 public key, 32 bytes."""
        return self._key.public

    def sign_message(self, message: bytes) -> bytes:
        """Sign a message.

        Raises:
            NightsafeError: NODE_NOT_TRUSTED, when the key is retired or not listed.
        """
        listed = self._keys.current().get(self._key.id)
        if listed is None:
            raise NightsafeError(
                Code.NODE_NOT_TRUSTED,
                f"this node's signing key {self._key.id} is not listed in its verify-keys.json, and nobody would"
                " trust what it signs: nothing was changed. Use another node; to repair this one, copy"
                " verify-keys.json from the directory in which this node was added (nightsafe node list)",
            )
        if listed.until is not None:
            raise NightsafeError(
                Code.NODE_NOT_TRUSTED,
                f"this node was retired, with its signing key {listed.words}: nothing was changed. Use another"
                " node, and stop this one; to serve here again, make a new node: nightsafe node add",
            )
        return self._key.sign_message(message)
