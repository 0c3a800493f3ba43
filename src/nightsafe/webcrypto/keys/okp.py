"""Checks keys of Ed25519 (also under its older name NODE-ED25519) and X25519."""

from nightsafe.webcrypto.algorithms import required_curve_name
from nightsafe.webcrypto.der.okp import KEY_BYTES
from nightsafe.webcrypto.errors import data_error, printable, support_error
from nightsafe.webcrypto.jwk import JsonWebKey
from nightsafe.webcrypto.keys.asymmetric import Imported, read_key
from nightsafe.webcrypto.material import DsaKey, EcKey, Key, OkpKey, RsaKey
from nightsafe.webcrypto.request import ImportRequest
from nightsafe.webcrypto.usages import DERIVE, SIGN, check_public_usages, require_usage


def check_okp(request: ImportRequest) -> None:
    """Check a key of Ed25519, NODE-ED25519 or X25519.

    The runtime imports a key of any type here and fails at its first use. This function refuses a key that cannot
    work.

    Raises:
        KeyRefusedError: when the runtime would not import the key, or could not use it.
    """
    if request.name == "NODE-ED25519":
        _check_node_curve(required_curve_name(request.algorithm))
    curve = "X25519" if request.name == "X25519" else "Ed25519"
    allowed = DERIVE if curve == "X25519" else SIGN
    if request.format == "raw" and isinstance(request.material, bytes):
        check_public_usages(request.name, request.usages, allowed)
        _check_raw(curve, request.material)
        return
    imported = read_key(request, allowed, lambda jwk: _read_jwk(jwk, curve))
    if imported.private:
        require_usage(request.usages)
    _check_usable(imported, curve, request.name)


def _check_node_curve(name: str) -> None:
    """Refuse any curve but the only one of NODE-ED25519, in exactly this spelling."""
    if name != "NODE-ED25519":
        raise support_error(f'EDDSA curve "{printable(name)}" isn\'t supported.', "algorithm/namedCurve")


def _check_raw(curve: str, key: bytes) -> None:
    """Check a raw public key, which may be any 32 bytes."""
    if len(key) != KEY_BYTES:
        message = f"{curve} raw keys must be exactly 32-bytes (provided {len(key)})."
        raise data_error(message, "key_base64")


def _check_usable(imported: Imported, curve: str, name: str) -> None:
    """Refuse a key of another curve; this message is Nightsafe's own."""
    if imported.key != OkpKey(curve):
        kind = _kind(imported.key)
        message = (
            f'The key is of type {kind} and cannot work with the algorithm "{name}": '
            f"give a key of type {curve}, or name the algorithm of this key."
        )
        raise data_error(message, "key_base64")


def _kind(key: Key) -> str:
    """Name a key's type."""
    match key:
        case RsaKey():
            return "RSA"
        case DsaKey():
            return "DSA"
        case EcKey() | OkpKey():
            return key.curve


def _read_jwk(jwk: JsonWebKey, curve: str) -> OkpKey:
    """Check the type, the curve and the components' sizes; the runtime does not check that these belong together."""
    _check_members(jwk, curve)
    refusal = f'Invalid {curve} key in JSON WebKey; missing or invalid public key component ("x").'
    x = jwk.decode("x", refusal)
    if len(x) != KEY_BYTES:
        raise data_error(f"Invalid length {len(x)} for public key", "key_jwk/x")
    if jwk.get("d") is not None:
        refusal = f'Invalid {curve} key in JSON Web Key; missing or invalid private key component ("d").'
        d = jwk.decode("d", refusal)
        if len(d) != KEY_BYTES:
            raise data_error(f"Invalid length {len(d)} for private key", "key_jwk/d")
    return OkpKey(curve)


def _check_members(jwk: JsonWebKey, curve: str) -> None:
    """Check the key's "kty", "crv" and "alg"."""
    if jwk.kty != "OKP":
        message = (
            f'{curve} "jwk" key imports requires a JSON Web Key with Key Type parameter "kty" '
            f'("{printable(jwk.kty)}") equal to "OKP".'
        )
        raise data_error(message, "key_jwk/kty")
    crv, alg = jwk.get("crv"), jwk.get("alg")
    if crv is None:
        raise data_error(f'Missing field "crv" for {curve} key.', "key_jwk/crv")
    if crv != curve:
        message = f'Only {curve} is supported but "{printable(crv)}" was requested.'
        raise support_error(message, "key_jwk/crv")
    if curve == "Ed25519" and alg is not None and alg != "EdDSA":
        message = (
            f'JSON Web Key Algorithm parameter "alg" ("{printable(alg)}") does not match requested Ed25519 curve.'
        )
        raise data_error(message, "key_jwk/alg")
