"""The validation of `secret_key` bindings, compared with the Workers runtime's answers to the same bindings."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from nightsafe.webcrypto import KeyRefusedError, check_key, decode_base64

VECTORS: Final = Path(__file__).parents[2] / "vectors" / "secret-keys"

# The runtime imports these and fails at their first use; a safe for keys says so earlier.
USELESS_PREFIX: Final = "useless: "
USELESS: Final = frozenset({"data: pkcs8: Ed25519 key for X25519"})

# The runtime repeats a text of any length; a message of ours shows nothing longer than a name.
CUT_PREFIX: Final = "cut: "

# The runtime blames the `atob` that a binding never mentions; we say which alphabet to use.
BASE64_PREFIX: Final = "base64: "


def _vectors() -> list[Any]:
    """Return every case of every file, with its name."""
    return [
        pytest.param(case["case"], case["binding"], case["expect"], id=f"{path.stem}: {case['case']}")
        for path in sorted(VECTORS.glob("*.json"))
        for case in json.loads(path.read_text(encoding="utf-8"))["vectors"]
    ]


def _answer(binding: dict[str, Any]) -> KeyRefusedError | None:
    """Return our refusal of a binding, or None."""
    try:
        material = binding["key_jwk"] if binding["format"] == "jwk" else decode_base64(binding["key_base64"])
        check_key(binding["format"], binding["algorithm"], binding["usages"], material)
    except KeyRefusedError as error:
        return error
    return None


@pytest.mark.parametrize(("case", "binding", "expect"), _vectors())
def test_validation_answers_as_the_runtime_does(case: str, binding: dict[str, Any], expect: dict[str, Any]) -> None:
    """We accept what the runtime accepts, and refuse the rest with the runtime's error name and message."""
    answer = _answer(binding)

    if case in USELESS or case.startswith(USELESS_PREFIX):
        assert expect["ok"]
        assert answer is not None
        assert answer.error == "DataError"
        assert "cannot work with" in answer.message
    elif case.startswith(CUT_PREFIX):
        assert answer is not None
        assert expect["error"] == answer.error
        start, _, end = answer.message.partition("…")
        assert expect["message"].startswith(start)
        assert expect["message"].endswith(end)
    elif case.startswith(BASE64_PREFIX) and not expect["ok"]:
        assert answer is not None
        assert (expect["error"], "key_base64") == (answer.error, answer.field)
        assert answer.message.startswith("The key is not valid base64.")
    elif expect["ok"]:
        assert answer is None
    else:
        assert answer is not None
        assert (expect["error"], expect["message"]) == (answer.error, answer.message)


def test_the_vectors_cover_every_outcome() -> None:
    """The vectors contain accepted keys, and refusals under each of the runtime's error names."""
    outcomes = {parameters.values[2].get("error") for parameters in _vectors()}

    assert outcomes == {
        None,
        "DataError",
        "InvalidCharacterError",
        "NotSupportedError",
        "OperationError",
        "SyntaxError",
        "TypeError",
    }
