"""Reads `PrivateKeyInfo` and `SubjectPublicKeyInfo`, and the older structures that "pkcs8" also accepts.

Source: RFC 5208, RFC 5280, and BoringSSL's `d2i_AutoPrivateKey` and `d2i_PUBKEY`.
"""

from typing import Final

from nightsafe.webcrypto.der import dsa, ec, okp, rsa
from nightsafe.webcrypto.der import reader as der
from nightsafe.webcrypto.der.reader import DerError, DerReader
from nightsafe.webcrypto.material import Key

_RSA: Final = bytes.fromhex("2a864886f70d010101")
_EC: Final = bytes.fromhex("2a8648ce3d0201")
_DSA: Final = bytes.fromhex("2a8648ce380401")
_OKP: Final = {bytes.fromhex("2b6570"): "Ed25519", bytes.fromhex("2b656e"): "X25519"}

_SEC1_ELEMENTS: Final = 4
_DSA_ELEMENTS: Final = 6


def read_private_key(data: bytes) -> tuple[Key, int]:
    """Read a private key: PKCS#8, or else PKCS#1, SEC 1 or OpenSSL's DSA, distinguished by their number of elements.

    Returns:
        The key, and how many bytes follow it.

    Raises:
        DerError: when the data is none of these structures.
    """
    try:
        reader = DerReader(data)
        return _read_private_key_info(reader.enter(der.SEQUENCE)), reader.remaining
    except DerError:
        reader = DerReader(data)
        return _read_traditional_key(data, reader), reader.remaining


def read_public_key(data: bytes) -> tuple[Key, int]:
    """Read a `SubjectPublicKeyInfo`.

    Returns:
        The key, and how many bytes follow it.

    Raises:
        DerError: when the data is not a `SubjectPublicKeyInfo`.
    """
    reader = DerReader(data)
    body = reader.enter(der.SEQUENCE)
    parameters = body.enter(der.SEQUENCE)
    algorithm = parameters.take(der.OBJECT_IDENTIFIER)
    encoded = body.take_bit_string()
    body.finish()
    return _read_public(algorithm, parameters, encoded), reader.remaining


def _read_private_key_info(body: DerReader) -> Key:
    """Read the body of a `PrivateKeyInfo`; ignore the attributes that follow the key."""
    if body.take_version() != 0:
        raise DerError
    parameters = body.enter(der.SEQUENCE)
    algorithm = parameters.take(der.OBJECT_IDENTIFIER)
    reader = body.enter(der.OCTET_STRING)
    key = _read_private(algorithm, parameters, reader)
    reader.finish()
    return key


def _read_private(algorithm: bytes, parameters: DerReader, reader: DerReader) -> Key:
    """Read the private key of a known algorithm."""
    if algorithm == _RSA:
        parameters.take_null()
        parameters.finish()
        return rsa.read_private_key(reader)
    if algorithm == _EC:
        curve = ec.read_parameters(parameters)
        parameters.finish()
        return ec.read_private_key(reader, curve)
    if algorithm in _OKP:
        return okp.read_private_key(_OKP[algorithm], parameters, reader)
    if algorithm == _DSA:
        return dsa.read_private_key(parameters, reader)
    raise DerError


def _read_public(algorithm: bytes, parameters: DerReader, encoded: bytes) -> Key:
    """Read the public key of a known algorithm."""
    if algorithm == _RSA:
        parameters.take_null()
        parameters.finish()
        reader = DerReader(encoded)
        key = rsa.read_public_key(reader)
        reader.finish()
        return key
    if algorithm == _EC:
        return ec.read_public_key(parameters, encoded)
    if algorithm in _OKP:
        return okp.read_public_key(_OKP[algorithm], parameters, encoded)
    if algorithm == _DSA:
        return dsa.read_public_key(parameters, encoded)
    raise DerError


def _read_traditional_key(data: bytes, reader: DerReader) -> Key:
    """Read a key without a container."""
    elements = _count_elements(data)
    if elements == _SEC1_ELEMENTS:
        return ec.read_private_key(reader)
    if elements == _DSA_ELEMENTS:
        return dsa.read_traditional_key(reader)
    return rsa.read_private_key(reader)


def _count_elements(data: bytes) -> int:
    """Count the first sequence's elements, up to the number that matters; return 0 if it is malformed."""
    try:
        return DerReader(data).enter(der.SEQUENCE).count_elements(at_most=_DSA_ELEMENTS)
    except DerError:
        return 0
