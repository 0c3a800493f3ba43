"""The fields of a Secrets Store secret in a request.

Source: `secrets_store/stores/{store_id}/secrets` in the Cloudflare v4 API's specification.
"""

import re
from collections.abc import Sequence
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from nightsafe.bindings.json_fields import (
    need_array,
    need_object,
    need_string,
    optional_string,
    pointer_to,
    type_name,
)
from nightsafe.bindings.unknown_members import require_known
from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.secret_value import SecretValue
from nightsafe.services.limits import Limits

SCOPES = ("access", "ai_gateway", "containers", "dex", "websearch", "workers")
"""Services that a secret can be for. A Worker gets the secrets for `workers`."""

MAX_NAME_LENGTH = 255
MAX_COMMENT_BYTES = 1024
_NAME = re.compile(r"[A-Za-z0-9_-]+")


class NewSecret(Struct, frozen=True):
    """A secret to create; `value` is None for a duplicate of another secret."""

    name: str
    scopes: tuple[str, ...]
    comment: str
    value: SecretValue | None


class SecretPatch(Struct, frozen=True):
    """The changes to a secret; UNSET leaves a field unchanged."""

    scopes: tuple[str, ...] | UnsetType = UNSET
    comment: str | UnsetType = UNSET
    value: SecretValue | None = None


def parse_store_name(raw: object) -> str:
    """Return the name of a new store.

    Raises:
        NightsafeError: INVALID.
    """
    return _name(need_object(raw, "", "the body"), "", "a store")


def parse_new_secrets(raw: object, limits: Limits) -> Sequence[NewSecret]:
    """Return the secrets to create, or refuse with every problem in them.

    Raises:
        NightsafeError: INVALID, TOO_MANY_OPERATIONS, or STORE_SECRET_TAKEN for a name that occurs twice.
    """
    items = _items(raw, limits)
    secrets: list[NewSecret] = []
    problems: list[Problem] = []
    for index, item in enumerate(items):
        try:
            secrets.append(_new_secret(item, f"/{index}", limits))
        except NightsafeError as error:
            problems += error.problems
    names = [secret.name for secret in secrets]
    problems += [Problem(Code.STORE_SECRET_TAKEN, name) for name in dict.fromkeys(names) if names.count(name) > 1]
    if problems:
        raise NightsafeError.of(problems)
    return secrets


def parse_duplicate(raw: object) -> NewSecret:
    """Return the name, scopes and comment of a secret to create with the value of another.

    Raises:
        NightsafeError: INVALID.
    """
    fields = need_object(raw, "", "the body")
    return NewSecret(_name(fields, "", "a secret"), _scopes(fields, ""), _comment(fields, "") or "", None)


def parse_secret_patch(raw: object, limits: Limits) -> SecretPatch:
    """Return the changes to a secret.

    Raises:
        NightsafeError: INVALID.
    """
    fields = need_object(raw, "", "the body")
    require_known(fields, ("comment", "name", "scopes", "value"), "", "the body")
    if fields.get("name") is not None:
        raise NightsafeError(Code.UNSUPPORTED, "rename secrets of a store: duplicate it under the new name", "/name")
    comment = _comment(fields, "")
    return SecretPatch(
        scopes=UNSET if fields.get("scopes") is None else _scopes(fields, ""),
        comment=UNSET if comment is None else comment,
        value=None if fields.get("value") is None else _value(fields, "", limits),
    )


def parse_ids(raw: object, limits: Limits) -> Sequence[str]:
    """Return the IDs in an array of objects.

    Raises:
        NightsafeError: INVALID, TOO_MANY_OPERATIONS.
    """
    return [
        need_string(need_object(item, f"/{index}", "a secret"), "id", f"/{index}")
        for index, item in enumerate(_items(raw, limits))
    ]


def _items(raw: object, limits: Limits) -> list[Any]:
    """Return the items of an array that has at least one.

    Raises:
        NightsafeError: INVALID, TOO_MANY_OPERATIONS.
    """
    if not isinstance(raw, list):
        raise NightsafeError(Code.INVALID, f"the body must be an array of secrets, not {type_name(raw)}", "")
    if not raw:
        raise NightsafeError(Code.INVALID, "the body is an empty array: send at least one secret", "")
    if len(raw) > limits.max_operations:
        raise NightsafeError(Code.TOO_MANY_OPERATIONS, str(len(raw)), "")
    return raw


def _new_secret(raw: object, at: str, limits: Limits) -> NewSecret:
    """Parse one secret to create."""
    fields = need_object(raw, at, "a secret")
    name, scopes, comment = _name(fields, at, "a secret"), _scopes(fields, at), _comment(fields, at) or ""
    return NewSecret(name, scopes, comment, _value(fields, at, limits))


def _name(fields: dict[str, Any], at: str, what: str) -> str:
    """Return the name of a store or a secret."""
    name = need_string(fields, "name", at)
    if len(name) > MAX_NAME_LENGTH or not _NAME.fullmatch(name):
        message = (
            f"the name of {what} must be 1 to {MAX_NAME_LENGTH} letters, digits, _ and -, without other characters"
        )
        raise NightsafeError(Code.INVALID, message, pointer_to(at, "name"))
    return name


def _scopes(fields: dict[str, Any], at: str) -> tuple[str, ...]:
    """Return the services that a secret is for: at least one, without duplicates."""
    scopes = need_array(fields, "scopes", at)
    if not scopes or not all(isinstance(scope, str) and scope in SCOPES for scope in scopes):
        message = f"'scopes' must contain at least one of {', '.join(SCOPES)}, and nothing else"
        raise NightsafeError(Code.INVALID, message, pointer_to(at, "scopes"))
    return tuple(dict.fromkeys(scopes))


def _comment(fields: dict[str, Any], at: str) -> str | None:
    """Return the comment, or None."""
    comment = optional_string(fields, "comment", at)
    if comment is not None and len(comment.encode()) > MAX_COMMENT_BYTES:
        message = f"'comment' is longer than {MAX_COMMENT_BYTES} bytes"
        raise NightsafeError(Code.INVALID, message, pointer_to(at, "comment"))
    return comment


def _value(fields: dict[str, Any], at: str, limits: Limits) -> SecretValue:
    """Return the value of a secret."""
    value = SecretValue.of_text(need_string(fields, "value", at))
    if len(value) > limits.max_store_value_bytes:
        raise NightsafeError(Code.STORE_VALUE_TOO_LONG, str(limits.max_store_value_bytes), pointer_to(at, "value"))
    return value
