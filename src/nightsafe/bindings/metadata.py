"""The public metadata that a seal is bound to, out of what is shown of a binding."""

from typing import Any

import msgspec
import rfc8785

_OF_A_KEY = ("format", "algorithm", "usages")


def public_of(kind: str, shown: bytes | msgspec.Raw) -> bytes:
    """Canonical JSON (RFC 8785) of the metadata; b"" for a kind that has none.

    Args:
        kind: the wire's `type`.
        shown: the JSON object that reads give back.

    Raises:
        msgspec.MsgspecError: it is no JSON object.
        KeyError: a member is missing.
    """
    if kind != "secret_key":
        return b""
    fields = msgspec.json.decode(shown, type=dict[str, Any])
    return rfc8785.dumps({member: fields[member] for member in _OF_A_KEY})
