"""Derives the public metadata that a sealed value is bound to. A value opens only with exactly the same bytes."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import rfc8785

KEY_METADATA: Final = ("format", "algorithm", "usages")
"""The members of a `secret_key` binding that describe its key without containing it."""


def key_metadata(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of a `secret_key` binding that describe its key.

    Raises:
        KeyError: when a member is missing.
    """
    return {member: fields[member] for member in KEY_METADATA}


def canonical_metadata(fields: Mapping[str, Any]) -> bytes:
    """Return the metadata of a `secret_key` binding as canonical JSON (RFC 8785).

    Raises:
        KeyError: when a member is missing.
    """
    return rfc8785.dumps(key_metadata(fields))


def public_metadata_of(kind: str, public_json: bytes | msgspec.Raw) -> bytes:
    """Return a binding's metadata as canonical JSON (RFC 8785), or b"" for a type that has no metadata.

    Args:
        kind: the binding's `type`.
        public_json: the JSON object that reads return.

    Raises:
        msgspec.MsgspecError: when `public_json` is not a JSON object.
        KeyError: when a member is missing.
    """
    if kind != "secret_key":
        return b""
    return canonical_metadata(msgspec.json.decode(public_json, type=dict[str, Any]))
