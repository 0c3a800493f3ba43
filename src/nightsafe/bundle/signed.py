"""Signs bundles in the API process and verifies them in delivery processes.

Layout: "NSB" and version 1, the signature algorithm (0x01, Ed25519), the signer id (8 bytes), the signature (64
bytes), the bundle as JSON. The signature covers `encode("nightsafe bundle signature v1", SHA-256(JSON), signer id)`;
`docs/sealed-format.md` defines `encode` and signer ids.
"""

from hashlib import sha256
from typing import Final

import msgspec

from nightsafe.bundle.model import Bundle
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.encoding import encode
from nightsafe.sealing.interfaces import MessageSigner, Verifier

_MAGIC: Final = b"NSB\x01\x01"
_HEAD: Final = 77
_TAG: Final = b"nightsafe bundle signature v1"
_DECODER: Final = msgspec.json.Decoder(Bundle)


def sign_bundle(bundle: Bundle, signer: MessageSigner) -> bytes:
    """Return the signed bytes that the API sends."""
    payload = msgspec.json.encode(bundle)
    return _MAGIC + bytes.fromhex(signer.id) + signer.sign_message(_message(payload, signer.id)) + payload


def open_bundle(data: bytes, verifier: Verifier) -> Bundle:
    """Verify the bytes that the API sent, and return the bundle in them.

    Raises:
        NightsafeError: CANNOT_OPEN, when no trusted key has signed exactly these bytes; INVALID, when a trusted key
            has signed something that is not a bundle of this version.
    """
    if len(data) <= _HEAD or not data.startswith(_MAGIC):
        raise NightsafeError(Code.CANNOT_OPEN, "the bundle is not signed")
    signer_id, signature, payload = data[5:13].hex(), data[13:_HEAD], data[_HEAD:]
    if not verifier.verify_message(signer_id, _message(payload, signer_id), signature):
        raise NightsafeError(Code.CANNOT_OPEN, "no trusted key has signed this bundle")
    try:
        return _DECODER.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise NightsafeError(Code.INVALID, "the bundle is not of a known format") from None


def _message(payload: bytes, signer_id: str) -> bytes:
    """Return the bytes that the signature covers."""
    return encode(_TAG, sha256(payload).digest(), bytes.fromhex(signer_id))
