"""Reads Ed25519 and X25519 keys in DER. Source: RFC 8410."""

from typing import Final

from nightsafe.webcrypto.der import reader as der
from nightsafe.webcrypto.der.reader import DerError, DerReader
from nightsafe.webcrypto.material import OkpKey

KEY_BYTES: Final = 32


def read_public_key(curve: str, parameters: DerReader, encoded: bytes) -> OkpKey:
    """Read the public key of a `SubjectPublicKeyInfo`: any 32 bytes.

    Raises:
        DerError: when the key is not 32 bytes, or there are parameters.
    """
    parameters.finish()
    if len(encoded) != KEY_BYTES:
        raise DerError
    return OkpKey(curve)


def read_private_key(curve: str, parameters: DerReader, reader: DerReader) -> OkpKey:
    """Read a `CurvePrivateKey`: an octet string of 32 bytes.

    Raises:
        DerError: when the data is not such a string, or there are parameters.
    """
    parameters.finish()
    if len(reader.take(der.OCTET_STRING)) != KEY_BYTES:
        raise DerError
    return OkpKey(curve)
