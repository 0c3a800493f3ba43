"""Reads JSON Web Keys in the same way as the runtime. Source: RFC 7517, RFC 7518, RFC 8037."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from nightsafe.webcrypto.encoding import decode_member
from nightsafe.webcrypto.errors import data_error, printable, support_error, type_error
from nightsafe.webcrypto.javascript import to_string

# In the order in which the runtime reads them, which decides the error if several members are wrong.
_TEXT_BEFORE_OPERATIONS: Final = ("use",)
_TEXT_AFTER_OPERATIONS: Final = ("alg", "crv", "x", "y", "d", "n", "e", "p", "q", "dp", "dq", "qi")
_TEXT_AFTER_PRIMES: Final = ("k",)
_TEXT_OF_PRIMES: Final = ("r", "d", "t")

# The runtime sets no bound. A key has at most eight operations, and the runtime supports no additional prime.
_MAX_ELEMENTS: Final = 256

_NULL_KEY: Final = (
    "Cannot initialize N7workerd3api12SubtleCrypto10JsonWebKeyE with required members "
    "from an undefined or null value."
)
_NO_OBJECT: Final = (
    "Failed to execute 'importKey' on 'SubtleCrypto': parameter 2 is not of type 'BufferSource or JsonWebKey'."
)
_OPERATIONS_MISSING: Final = (
    'All specified key usages must be present in the JSON Web Key\'s Key Operations parameter ("key_ops").'
)
_EITHER_OR: Final = (
    'A JSON Web Key should have either a Public Key Use parameter ("use") or a Key Operations parameter '
    '("key_ops"); otherwise, the parameters must be consistent with each other. '
)


@dataclass(frozen=True, slots=True)
class JsonWebKey:
    """A key with its members coerced to strings.

    Attributes:
        kty: the key type.
        text: the string members that are present.
        key_ops: the operations, if present.
        multi_prime: True if "oth" is present.
    """

    kty: str
    text: dict[str, str]
    key_ops: tuple[str, ...] | None
    multi_prime: bool

    def get(self, member: str) -> str | None:
        """Return a member's text, or None."""
        return self.text.get(member)

    def decode(self, member: str, refusal: str) -> bytes:
        """Decode a member's base64.

        Raises:
            KeyRefusedError: a `DataError` with the message `refusal`, when the member is missing or not base64.
        """
        text = self.text.get(member)
        decoded = None if text is None else decode_member(text)
        if decoded is None:
            raise data_error(refusal, f"key_jwk/{member}")
        return decoded


def read_jwk(value: object) -> JsonWebKey:
    """Read a JSON value as a key.

    Raises:
        KeyRefusedError: a `TypeError`, when a value cannot be coerced.
    """
    if value is None:
        raise type_error(_NULL_KEY, "key_jwk")
    if isinstance(value, list | tuple):
        # In JavaScript an array is also an object, without these members.
        value = {}
    if not isinstance(value, dict):
        raise type_error(_NO_OBJECT, "key_jwk")
    kty = to_string(value["kty"], "key_jwk/kty") if "kty" in value else "undefined"
    text = _read_text(value, _TEXT_BEFORE_OPERATIONS)
    key_ops = _read_operations(value)
    text |= _read_text(value, _TEXT_AFTER_OPERATIONS)
    multi_prime = _read_other_primes(value)
    text |= _read_text(value, _TEXT_AFTER_PRIMES)
    return JsonWebKey(kty, text, key_ops, multi_prime)


def check_symmetric_use(jwk: JsonWebKey, usages: Sequence[str]) -> None:
    """Refuse an AES key whose "use" or "key_ops" contradicts the usages.

    Raises:
        KeyRefusedError: when one of them does.
    """
    use = jwk.get("use")
    if usages and use is not None and use != "enc":
        raise data_error(f'Symmetric "jwk" key must have a "use" of "enc", not "{printable(use)}".', "key_jwk/use")
    if jwk.key_ops is None:
        return
    duplicate = _first_duplicate(jwk.key_ops)
    if duplicate is not None:
        message = f'Symmetric "jwk" key contains duplicate value "{printable(duplicate)}", in "key_op".'
        raise data_error(message, "key_jwk/key_ops")
    operations = frozenset(jwk.key_ops)
    for usage in usages:
        if usage not in operations:
            raise data_error(f'"jwk" key missing usage "{printable(usage)}", in "key_ops".', "key_jwk/key_ops")


def check_asymmetric_use(jwk: JsonWebKey, name: str, usages: Sequence[str]) -> None:
    """Refuse a public or private key whose "use" or "key_ops" contradicts the algorithm or the usages.

    Raises:
        KeyRefusedError: when one of them does.
    """
    expected, operations = _expected_use(name)
    use = jwk.get("use")
    if usages and use is not None and use != expected:
        raise data_error(
            'Asymmetric "jwk" key import with usages requires a JSON Web Key with Public Key Use parameter '
            f'"use" ("{printable(use)}") equal to "sig".',
            "key_jwk/use",
        )
    if jwk.key_ops is None:
        return
    if _first_duplicate(jwk.key_ops) is not None:
        raise data_error(
            'A JSON Web Key\'s Key Operations parameter ("key_ops") must not contain duplicates.',
            "key_jwk/key_ops",
        )
    if use is not None:
        _check_use_against_operations(use, expected, operations, jwk.key_ops, name)
    _check_operations_cover(jwk.key_ops, usages)


def _expected_use(name: str) -> tuple[str, tuple[str, ...]]:
    """Return the "use" of an algorithm's keys, and the operations that this "use" means."""
    if name == "RSA-OAEP":
        return "enc", ("encrypt", "wrapKey")
    if name in ("ECDH", "X25519"):
        return "enc", ()
    return "sig", ("sign", "verify")


def _check_use_against_operations(
    use: str, expected: str, allowed: tuple[str, ...], key_ops: tuple[str, ...], name: str
) -> None:
    """Refuse a "use" and "key_ops" that disagree (RFC 7517, section 4.3)."""
    if use != expected:
        message = (
            'Asymmetric "jwk" import requires a JSON Web Key with Public Key Use "use" '
            f'("{printable(use)}") equal to "{expected}".'
        )
        raise data_error(message, "key_jwk/use")
    for operation in _in_byte_order(key_ops):
        if not allowed:
            message = (
                f"{_EITHER_OR}For public {name} keys, there are no valid usages,"
                'so keys with a non-empty "key_ops" parameter are not allowed.'
            )
            raise data_error(message, "key_jwk/key_ops")
        if operation not in allowed:
            message = (
                f"{_EITHER_OR}A Public Key Use for {name} would allow a Key Operations array with only "
                f'"{allowed[0]}" and/or "{allowed[1]}" values (not "{printable(operation)}").'
            )
            raise data_error(message, "key_jwk/key_ops")


def _check_operations_cover(key_ops: tuple[str, ...], usages: Sequence[str]) -> None:
    """Refuse operations that lack the first usage, or the usage after the first usage's last repetition.

    The runtime checks no other usages, because no key has more than two.
    """
    if not usages:
        return
    after = len(usages) - tuple(reversed(usages)).index(usages[0])
    if any(usage not in key_ops for usage in (usages[0], *usages[after : after + 1])):
        raise data_error(_OPERATIONS_MISSING, "key_jwk/key_ops")


def _read_text(value: dict[object, object], members: Sequence[str]) -> dict[str, str]:
    """Return the members that are present, as strings."""
    return {member: to_string(value[member], f"key_jwk/{member}") for member in members if member in value}


def _read_operations(value: dict[object, object]) -> tuple[str, ...] | None:
    """Return the "key_ops", if present."""
    if "key_ops" not in value:
        return None
    operations = _read_array(value, "key_ops")
    return tuple(to_string(operation, "key_jwk/key_ops") for operation in operations)


def _read_other_primes(value: dict[object, object]) -> bool:
    """Read the "oth", and return True if it is present."""
    if "oth" not in value:
        return False
    for index, prime in enumerate(_read_array(value, "oth")):
        if isinstance(prime, dict):
            for member in _TEXT_OF_PRIMES:
                to_string(prime.get(member), "key_jwk/oth")
        elif prime is not None and not isinstance(prime, list | tuple):
            message = (
                f"Incorrect type for array element {index}: the provided value is not of type 'RsaOtherPrimesInfo'."
            )
            raise type_error(message, "key_jwk/oth")
    return True


def refuse_multi_prime(jwk: JsonWebKey) -> None:
    """Refuse a key with more than two primes.

    Raises:
        KeyRefusedError: when the key has more than two primes.
    """
    if jwk.multi_prime:
        raise support_error("Multi-prime private keys not supported.", "key_jwk/oth")


def _read_array(value: dict[object, object], member: str) -> Sequence[object]:
    """Return a member that must be an array of a plausible size."""
    array = value[member]
    if not isinstance(array, list | tuple):
        message = (
            f"Incorrect type for the '{member}' field on 'JsonWebKey': the provided value is not of type 'Array'."
        )
        raise type_error(message, f"key_jwk/{member}")
    if len(array) > _MAX_ELEMENTS:
        message = f'The "{member}" of a JSON Web Key may have at most {_MAX_ELEMENTS} elements.'
        raise data_error(message, f"key_jwk/{member}")
    return array


def _in_byte_order(texts: Sequence[str]) -> list[str]:
    """Sort texts by their UTF-8 bytes, as the runtime does."""
    return sorted(texts, key=lambda text: text.encode("utf-8", "surrogatepass"))


def _first_duplicate(texts: Sequence[str]) -> str | None:
    """Return the first duplicated text in sorted order, or None."""
    ordered = _in_byte_order(texts)
    return next((text for text, other in pairwise(ordered) if text == other), None)
