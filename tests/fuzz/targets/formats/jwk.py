"""Bindings of secret keys, mostly JSON Web Keys, from any JSON object."""

from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import structs

from nightsafe.api.http.body import parse_json
from nightsafe.bindings.model import SecretKey
from nightsafe.bindings.parse import parse_secret
from nightsafe.errors import NightsafeError
from nightsafe.secret_value import SecretValue
from nightsafe.webcrypto.encoding import decode_member

_CURVES: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


def check(data: bytes) -> None:
    """Check that it is refused, or a key whose point is on its curve, and that its texts do not show its value."""
    try:
        raw = parse_json(data)
        secret = parse_secret(raw, may_inherit=True)
    except NightsafeError as refused:
        assert refused.problems
        return
    assert structs.replace(secret) == secret
    if isinstance(secret, SecretKey) and isinstance(secret.value, SecretValue):
        value = secret.value.reveal()
        assert len(value) < 16 or value.decode("latin-1") not in repr(secret)
        if secret.format == "jwk" and isinstance(raw["key_jwk"], dict) and raw["key_jwk"].get("kty") == "EC":
            _check_point(raw["algorithm"], raw["key_jwk"])


def _check_point(algorithm: object, jwk: dict[str, object]) -> None:
    """Check with `cryptography` that the point is on the curve that the algorithm names."""
    curve = _CURVES.get(str(algorithm.get("namedCurve"))) if isinstance(algorithm, dict) else None
    x, y = (decode_member(str(jwk[member])) for member in "xy")
    if curve is not None and x is not None and y is not None:
        ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve).public_key()
