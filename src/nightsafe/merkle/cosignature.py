"""Cosignatures of witnesses: C2SP tlog-cosignature with Ed25519.

A cosignature says that the witness, at a time, has seen no larger consistent log than the checkpoint's.
"""

import struct
from collections.abc import Callable, Iterable
from typing import Final

from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.checkpoint import SIGNATURE_SIZE, NoteKey, signature_line, signatures
from nightsafe.merkle.verifier_key import COSIGNATURE, VerifierKey

_HEADER: Final = b"cosignature/v1\n"
_TIME: Final = struct.Struct(">Q")
_LAST_TIME: Final = (1 << 63) - 1

Sign = Callable[[bytes], bytes]
"""Returns the 64 bytes of an Ed25519 signature of a message."""


def cosign(key: VerifierKey, sign: Sign, text: bytes, time: int) -> bytes:
    """Return the signature line of a cosignature.

    Args:
        key: the witness's key.
        sign: signs with it.
        text: the checkpoint's text.
        time: seconds since 1970 UTC, not 0.
    """
    return cosignature_line(key, _TIME.pack(time) + sign(_message(text, time)))


def cosignature_line(key: VerifierKey, signature: bytes) -> bytes:
    """Return the signature line of a time and a signature, 72 bytes together."""
    return signature_line(key.name, key.id, signature)


def cosignature_time(key: VerifierKey, text: bytes, signature: bytes) -> int | None:
    """Return the time of a valid cosignature, in seconds since 1970 UTC; None if the signature is not valid.

    Args:
        key: the witness's key.
        text: the checkpoint's text.
        signature: the time and the signature, 72 bytes.
    """
    if len(signature) != _TIME.size + SIGNATURE_SIZE:
        return None
    time: int = _TIME.unpack_from(signature)[0]
    if not 0 < time <= _LAST_TIME:
        return None
    is_valid = NoteKey(key.name, key.public).verify(_message(text, time), signature[_TIME.size :])
    return time if is_valid else None


def cosigners_of(note: bytes, keys: Iterable[VerifierKey]) -> dict[VerifierKey, bytes]:
    """Return the witnesses that have cosigned a checkpoint, with their signature lines. Other signatures are ignored.

    Raises:
        NightsafeError: INVALID, when it is not a signed note; CANNOT_OPEN, when a signature in the name of a witness
            is wrong.
    """
    text, _, lines = note.rpartition(b"\n\n")
    known = {(key.name, key.id): key for key in keys if key.type == COSIGNATURE}
    found = {}
    for name, key_id, signature in signatures(lines):
        key = known.get((name, key_id))
        if key is None:
            continue
        if cosignature_time(key, text + b"\n", signature) is None:
            raise NightsafeError(Code.CANNOT_OPEN, f"the cosignature of {name} on the checkpoint is wrong")
        found[key] = cosignature_line(key, signature)
    return found


def _message(text: bytes, time: int) -> bytes:
    """Return the message that a cosignature covers."""
    return _HEADER + b"time %d\n" % time + text
