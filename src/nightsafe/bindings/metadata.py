"""Derives the public metadata that a sealed value is bound to from the JSON that reads show of a binding."""

from typing import Any

import msgspec
import rfc8785

_KEY_METADATA = ("format", "algorithm", "usages")


def public_metadata_of(kind: str, shown: bytes | msgspec.Raw) -> bytes:
    """Return the metadata as canonical JSON (RFC 8785), or b"" for a type that has no metadata.

    Args:
        kind: the binding's `type`.
        shown: the JSON object that reads return.

    Raises:
        msgspec.MsgspecError: when `shown` is not a JSON object.
        KeyError: when a member is missing.
    """
    if kind != "secret_key":
        return b""
    fields = msgspec.json.decode(shown, type=dict[str, Any])
    return rfc8785.dumps({member: fields[member] for member in _KEY_METADATA})
