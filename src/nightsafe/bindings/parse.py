"""Parses a JSON value into a binding, or refuses it with the field at fault and the remedy.

Limits, the same as the Workers platform's: 5 KB for a value and 2,712 bytes for a name.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import rfc8785

from nightsafe.bindings.client_sealed import SealedByClient, is_sealed, parse_sealed
from nightsafe.bindings.json_fields import need_array, need_object, need_string, optional_string, pointer_to
from nightsafe.bindings.kinds import PLAIN_KINDS
from nightsafe.bindings.model import AnyBinding, InheritedBinding, PlainBinding, Secret, SecretKey, SecretText
from nightsafe.bindings.unknown_members import refuse_misspelt
from nightsafe.errors import Code, NightsafeError
from nightsafe.secret_value import SecretValue
from nightsafe.webcrypto import KeyRefusedError, check_key, decode_base64, is_pem, pem_error

MAX_NAME_BYTES = 2712
MAX_VALUE_BYTES = 5120
MAX_ALGORITHM_BYTES = 1024
MAX_PLAIN_BYTES = 16 * 1024
MAX_USAGES = 16

_VALUE_MEMBERS = {SecretText.kind: frozenset({"text"}), SecretKey.kind: frozenset({"key_base64", "key_jwk"})}
"""The members that hold a secret's value, by its binding type."""

KEY_FORMATS = ("raw", "pkcs8", "spki", "jwk")
USAGES = ("encrypt", "decrypt", "sign", "verify", "deriveKey", "deriveBits", "wrapKey", "unwrapKey")


def parse_secret(
    raw: object, at: str = "", *, name: str | None = None, index: int = 0, may_inherit: bool = False
) -> Secret:
    """Parse a `secret_text` or `secret_key` from a request body.

    Args:
        raw: the JSON value.
        at: JSON Pointer to the value in the body.
        name: the name that the secret must have, when the path or the enclosing member already gives it.
        index: the secret's index in its list, for the message about a missing name.
        may_inherit: True when the list may also hold `inherit` bindings; the refusal of a secret without a value then
            suggests one.

    Raises:
        NightsafeError: INVALID, BINDING_UNNAMED, BINDING_NAME_TOO_LONG or BINDING_TOO_LARGE, with a pointer.
    """
    fields = need_object(raw, at, "a secret")
    own_name = _binding_name(fields, at, name, index)
    kind = fields.get("type")
    reader = _SECRET_READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise NightsafeError(Code.INVALID, '\'type\' must be "secret_text" or "secret_key"', pointer_to(at, "type"))
    if may_inherit and not is_sealed(fields) and _VALUE_MEMBERS[str(kind)].isdisjoint(fields):
        _refuse_missing(fields, str(kind), own_name, at)
    return reader(fields, own_name, at)


def _refuse_missing(fields: dict[str, Any], kind: str, name: str, at: str) -> None:
    """Refuse a listed secret that has no value, and explain how to keep its current value."""
    member = "text" if kind == SecretText.kind else "key_jwk" if fields.get("format") == "jwk" else "key_base64"
    sentence = (
        f"'{member}' is missing: give the value of the secret '{name}' or, to keep its current value, send"
        ' {"type": "inherit", "name": …} instead'
    )
    raise NightsafeError(Code.INVALID, sentence, pointer_to(at, member))


def parse_binding(raw: object, at: str, index: int) -> AnyBinding:
    """Parse any binding of a script upload's metadata.

    Args:
        raw: the JSON value.
        at: JSON Pointer to the value.
        index: the binding's index in the list.

    Raises:
        NightsafeError: as `parse_secret`.
    """
    fields = need_object(raw, at, "a binding")
    kind = need_string(fields, "type", at)
    if kind in _SECRET_READERS:
        return parse_secret(fields, at, index=index, may_inherit=True)
    name = _binding_name(fields, at, None, index)
    if kind == "inherit":
        refuse_misspelt(fields, ("name", "old_name", "type", "version_id"), at)
        if fields.get("version_id", "latest") != "latest":
            raise NightsafeError(Code.INHERIT_VERSION, name, pointer_to(at, "version_id"))
        return InheritedBinding(name, optional_string(fields, "old_name", at) or name)
    if kind not in PLAIN_KINDS:
        raise NightsafeError(Code.INVALID, "'type' is not a known binding type", pointer_to(at, "type"))
    return _parse_plain(fields, name, kind, at)


def _parse_plain(fields: dict[str, Any], name: str, kind: str, at: str) -> PlainBinding:
    """Parse a binding without a secret: keep only the members of its type, within the size limit."""
    refuse_misspelt(fields, PLAIN_KINDS[kind] | {"name", "type"}, at)
    members = {"name": name, "type": kind} | {
        member: fields[member] for member in fields if member in PLAIN_KINDS[kind]
    }
    if kind == "plain_text":
        _check_size(len(need_string(fields, "text", at).encode()), name, pointer_to(at, "text"))
    elif kind == "json":
        if "json" not in fields:
            raise NightsafeError(Code.INVALID, "'json' is missing: give any JSON value", pointer_to(at, "json"))
        _check_size(len(msgspec.json.encode(fields["json"])), name, pointer_to(at, "json"))
    elif len(msgspec.json.encode(members)) > MAX_PLAIN_BYTES:
        raise NightsafeError(Code.INVALID, f"the binding is over {MAX_PLAIN_BYTES} bytes of JSON", at)
    return PlainBinding(name, kind, members)


def _binding_name(fields: dict[str, Any], at: str, member_name: str | None, index: int) -> str:
    """Return the binding's name, from the object or from the place that holds the object."""
    name = fields.get("name", member_name)
    pointer = pointer_to(at, "name")
    if name is None or name == "":
        raise NightsafeError(Code.BINDING_UNNAMED, str(index), pointer)
    if not isinstance(name, str):
        raise NightsafeError(Code.INVALID, "'name' must be a string", pointer)
    if member_name is not None and name != member_name:
        raise NightsafeError(Code.INVALID, "'name' must equal the name of the member that holds this object", pointer)
    if len(name.encode()) > MAX_NAME_BYTES:
        raise NightsafeError(Code.BINDING_NAME_TOO_LONG, str(MAX_NAME_BYTES), pointer)
    return name


def _check_size(size: int, name: str, at: str) -> None:
    """Refuse a value that is over the size limit."""
    if size > MAX_VALUE_BYTES:
        raise NightsafeError(Code.BINDING_TOO_LARGE, name, at)


def _secret_text(fields: dict[str, Any], name: str, at: str) -> SecretText:
    """Parse a secret string."""
    if is_sealed(fields):
        return SecretText(name, parse_sealed(fields, at, "text"))
    value = SecretValue.of_text(need_string(fields, "text", at))
    _check_size(len(value), name, pointer_to(at, "text"))
    return SecretText(name, value)


def _secret_key(fields: dict[str, Any], name: str, at: str) -> SecretKey:
    """Parse a secret key, and refuse it if the runtime would not import it."""
    key_format = need_string(fields, "format", at)
    if key_format not in KEY_FORMATS:
        raise NightsafeError(
            Code.INVALID, f"'format' must be one of {', '.join(KEY_FORMATS)}", pointer_to(at, "format")
        )
    usages = _usages(fields, at)
    algorithm = _algorithm(fields, at)
    try:
        value = _key_value(fields, key_format, algorithm, usages, name, at)
    except KeyRefusedError as refused:
        where = pointer_to(at, *refused.field.split("/"))
        sentence = refused.message.removesuffix(".")
        raise NightsafeError(Code.INVALID, f"{refused.error}: {sentence}", where) from None
    return SecretKey(name, algorithm, key_format, usages, value)


def _usages(fields: dict[str, Any], at: str) -> tuple[str, ...]:
    """Return the usages in their order and without duplicates, because the API defines them as a set."""
    usages = need_array(fields, "usages", at)
    if len(usages) > MAX_USAGES or not all(isinstance(usage, str) and usage in USAGES for usage in usages):
        raise NightsafeError(Code.INVALID, f"'usages' may hold only {', '.join(USAGES)}", pointer_to(at, "usages"))
    return tuple(dict.fromkeys(usages))


def _algorithm(fields: dict[str, Any], at: str) -> Any:
    """Return the algorithm unchanged; it must be small, because reads show it."""
    pointer = pointer_to(at, "algorithm")
    if "algorithm" not in fields:
        raise NightsafeError(Code.INVALID, "'algorithm' is missing: give an object with a 'name'", pointer)
    if len(msgspec.json.encode(fields["algorithm"])) > MAX_ALGORITHM_BYTES:
        raise NightsafeError(Code.INVALID, f"'algorithm' is over {MAX_ALGORITHM_BYTES} bytes of JSON", pointer)
    try:
        rfc8785.dumps(fields["algorithm"])
    except rfc8785.CanonicalizationError:
        raise NightsafeError(Code.INVALID, "'algorithm' holds an integer past 2^53", pointer) from None
    return fields["algorithm"]


def _key_value(  # noqa: PLR0913, PLR0917 - the parts of one binding
    fields: dict[str, Any], key_format: str, algorithm: object, usages: tuple[str, ...], name: str, at: str
) -> SecretValue | SealedByClient:
    """Return the key's bytes after the runtime's own checks, or a client-sealed value without any check."""
    if is_sealed(fields):
        return parse_sealed(fields, at, "key_base64", "key_jwk")
    member = "key_jwk" if key_format == "jwk" else "key_base64"
    pointer = pointer_to(at, member)
    if member not in fields:
        raise NightsafeError(Code.INVALID, f"'{member}' is missing: format {key_format} needs it", pointer)
    if member == "key_jwk":
        material: Any = fields[member]
        plaintext = msgspec.json.encode(material)
    else:
        material = plaintext = decode_base64(need_string(fields, member, at))
    _check_size(len(plaintext), name, pointer)
    try:
        check_key(key_format, algorithm, usages, material)
    except KeyRefusedError:
        if is_pem(plaintext):
            raise pem_error() from None
        raise
    return SecretValue(plaintext)


_SECRET_READERS: dict[str, Callable[[dict[str, Any], str, str], Secret]] = {
    SecretText.kind: _secret_text,
    SecretKey.kind: _secret_key,
}
