"""The validation of `secret_key` bindings stays cheap, shown by what it does not call."""

import json
import pkgutil
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NoReturn

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from nightsafe import webcrypto
from nightsafe.webcrypto import KeyRefusedError, check_key, decode_base64
from nightsafe.webcrypto.keys import curves

MEASURED: Final = Path(__file__).parents[2] / "vectors" / "secret-keys" / "measured.json"
CASES: Final = {case["case"]: case["binding"] for case in json.loads(MEASURED.read_text(encoding="utf-8"))["vectors"]}


class _ForbiddenError(AssertionError):
    """Raised when something too expensive is called."""


class _CountingCurves:
    """Replaces the library's curves, and counts derivations."""

    def __init__(self) -> None:
        self.derived = 0

    def derive_private_key(self, scalar: int, curve: ec.EllipticCurve) -> ec.EllipticCurvePrivateKey:
        """Derive a key, and count it."""
        self.derived += 1
        return ec.derive_private_key(scalar, curve)


def _check(binding: dict[str, Any]) -> None:
    """Check a binding."""
    material = binding["key_jwk"] if binding["format"] == "jwk" else decode_base64(binding["key_base64"])
    check_key(binding["format"], binding["algorithm"], binding["usages"], material)


def _modules() -> list[ModuleType]:
    """Return every module of the package."""
    found = pkgutil.walk_packages(webcrypto.__path__, f"{webcrypto.__name__}.")
    return [import_module(module.name) for module in found]


def _forbidden(*_: object, **__: object) -> NoReturn:
    """Fail."""
    raise _ForbiddenError


@pytest.mark.parametrize("case", ["RSA-4096: pkcs8", "RSA-4096: spki", "RSA-4096: jwk"])
def test_no_library_loads_an_rsa_key(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest common RSA keys are checked as integers; a library would test primes for 300 ms."""
    monkeypatch.setattr(serialization, "load_der_private_key", _forbidden)
    monkeypatch.setattr(serialization, "load_der_public_key", _forbidden)
    counting = _CountingCurves()
    monkeypatch.setattr(curves, "ec", counting)

    _check(CASES[case])

    assert counting.derived == 0


def test_only_the_librarys_curves_are_imported() -> None:
    """No module of the package uses anything of `cryptography` except elliptic curves."""
    held = {
        (module.__name__.rpartition(".")[2], name)
        for module in _modules()
        for name, value in vars(module).items()
        if str(getattr(value, "__module__", None) or getattr(value, "__name__", "")).startswith("cryptography")
    }

    assert held == {("curves", "ec")}


@pytest.mark.parametrize(
    "key",
    [{"x": "A" * 80, "y": "A" * 80}, {"x": "_" * 20000, "y": "AA"}, {"x": "AA", "y": "AA", "d": "_" * 20000}],
)
def test_no_key_is_derived_from_numbers_out_of_range(key: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Coordinates and scalars out of range are refused before anything is derived from them."""
    counting = _CountingCurves()
    monkeypatch.setattr(curves, "ec", counting)

    with pytest.raises(KeyRefusedError):
        check_key(
            "jwk", {"name": "ECDSA", "namedCurve": "P-521"}, ["sign"] if "d" in key else [], {"kty": "EC", **key}
        )

    assert counting.derived == 0


def test_numbers_beyond_the_bounds_are_not_multiplied() -> None:
    """A PKCS#1 key with absurd numbers is refused by its size, with the runtime's message."""
    absurd = (1 << (8 * 8000)) | 1
    body = b"\x02\x01\x00" + 8 * (b"\x02\x82\x1f\x41" + absurd.to_bytes(8001, "big"))
    key = b"\x30\x82" + len(body).to_bytes(2, "big") + body

    with pytest.raises(KeyRefusedError, match="Invalid PKCS8 input"):
        check_key("pkcs8", {"name": "RSA-PSS", "hash": "SHA-256"}, ["sign"], key)


@pytest.mark.parametrize(
    "length", ["1" * 60000 + "x", "." + "1" * 60000 + "x", "1e" + "1" * 60000 + "x", "0x" + "f" * 60000]
)
def test_long_number_like_texts_are_read_in_one_pass(length: str) -> None:
    """Long texts that look like numbers are read in one pass; otherwise this test would hang."""
    algorithm = {"name": "HMAC", "hash": "SHA-256", "length": length}

    with pytest.raises(KeyRefusedError, match=r"Imported HMAC key length \(0\)"):
        check_key("raw", algorithm, ["sign"], b"")
