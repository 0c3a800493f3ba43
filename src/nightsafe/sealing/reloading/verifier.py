"""Verifies with the current content of the file of verify keys, so that a new node needs no restart."""

from typing import TYPE_CHECKING, Final

from nightsafe.sealing.context import Context
from nightsafe.sealing.reloading.key_file import ReloadedFile
from nightsafe.sealing.verify_keys import VerifyKeys

if TYPE_CHECKING:
    from nightsafe.merkle.checkpoint import Checkpoint
    from nightsafe.merkle.statements import StatementProof


class ReloadingVerifier:
    """A `Verifier` that takes its keys from a file.

    Args:
        keys: the file of verify keys.
    """

    __slots__ = ("_keys",)

    def __init__(self, keys: ReloadedFile[VerifyKeys]) -> None:
        self._keys: Final = keys

    def verify(self, context: Context, record: bytes) -> bytes:
        """Do the same as `VerifyKeys.verify`."""
        return self._keys.current().verify(context, record)

    def verify_statement(self, digest: bytes, proof: "StatementProof") -> bool:
        """Do the same as `VerifyKeys.verify_statement`."""
        return self._keys.current().verify_statement(digest, proof)

    def open_checkpoint(self, note: bytes) -> "Checkpoint":
        """Do the same as `VerifyKeys.open_checkpoint`."""
        return self._keys.current().open_checkpoint(note)

    def verify_message(self, signer_id: str, message: bytes, signature: bytes) -> bool:
        """Do the same as `VerifyKeys.verify_message`."""
        return self._keys.current().verify_message(signer_id, message, signature)
