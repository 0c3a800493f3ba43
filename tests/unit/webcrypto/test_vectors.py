"""The validation of `secret_key` bindings, compared with the Workers runtime's answers to the same bindings."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from nightsafe.webcrypto import KeyRefusedError, check_key, decode_base64

FILES: Final = sorted((Path(__file__).parents[2] / "vectors" / "secret-keys").glob("*.json"))

# The runtime imports these and fails at their first use; a safe for keys says so earlier.
USELESS_PREFIX: Final = "useless: "
USELESS: Final = frozenset({"data: pkcs8: Ed25519 key for X25519"})

# The runtime repeats a text of any length; a message of ours shows nothing longer than a name.
CUT_PREFIX: Final = "cut: "

# The runtime blames the `atob` that a binding never mentions; we say which alphabet to use.
BASE64_PREFIX: Final = "base64: "


def _vectors(path: Path) -> list[dict[str, Any]]:
    """Return the cases of a file."""
    cases: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["vectors"]
    return cases


def _answer(binding: dict[str, Any]) -> KeyRefusedError | None:
    """Return our refusal of a binding, or None."""
    try:
        material = binding["key_jwk"] if binding["format"] == "jwk" else decode_base64(binding["key_base64"])
        check_key(binding["format"], binding["algorithm"], binding["usages"], material)
    except KeyRefusedError as error:
        return error
    return None


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_validation_answers_as_the_runtime_does(path: Path) -> None:
    """We accept what the runtime accepts, and refuse the rest with the runtime's error name and message."""
    vectors = _vectors(path)

    assert vectors
    assert [] == [vector["case"] for vector in vectors if not _is_expected(_answer(vector["binding"]), vector)]


def _is_expected(answer: KeyRefusedError | None, vector: dict[str, Any]) -> bool:
    """Return True if our refusal of a binding, or None, is what a vector expects."""
    case, expect = vector["case"], vector["expect"]
    if case in USELESS or case.startswith(USELESS_PREFIX):
        refused = answer is not None and answer.error == "DataError" and "cannot work with" in answer.message
        return bool(expect["ok"]) and refused
    if expect["ok"] or answer is None:
        return bool(expect["ok"]) and answer is None
    if case.startswith(CUT_PREFIX):
        start, _, end = answer.message.partition("…")
        shortened: bool = expect["message"].startswith(start) and expect["message"].endswith(end)
        return shortened and answer.error == expect["error"]
    if case.startswith(BASE64_PREFIX):
        found = (answer.error, answer.field, answer.message.startswith("The key is not valid base64."))
        return found == (expect["error"], "key_base64", True)
    return (answer.error, answer.message) == (expect["error"], expect["message"])


def test_the_vectors_cover_every_outcome() -> None:
    """The vectors contain accepted keys, and refusals under each of the runtime's error names."""
    outcomes = {vector["expect"].get("error") for path in FILES for vector in _vectors(path)}

    assert outcomes == {
        None,
        "DataError",
        "InvalidCharacterError",
        "NotSupportedError",
        "OperationError",
        "SyntaxError",
        "TypeError",
    }
