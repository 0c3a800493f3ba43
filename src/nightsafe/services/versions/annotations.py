"""Annotations of versions and deployments: a message, a tag, and the origin of the code.

The server writes the other annotations that reads show. A client may send these back; they are ignored.

Source: `annotations` in the Cloudflare v4 API's specification, with its limits.
"""

import msgspec

from nightsafe.bindings.json_fields import need_object, optional_string, pointer_to
from nightsafe.bindings.unknown_members import refuse_misspelt, unknown_member_notices
from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.services.limits import Limits

_TRUNCATED = "workers/message"
"""The annotation that is truncated if it is too long; other annotations are then refused."""

_MAX_BYTES = {
    _TRUNCATED: 1000,
    "workers/tag": 100,
    "workers/alias": 100,
    "workers/commit_sha": 64,
    "workers/pull_request_number": 20,
    "workers/pull_request_title": 512,
    "workers/pull_request_url": 512,
    "workers/repository_url": 512,
}
_WRITTEN_BY_SERVER = frozenset({"workers/rollback_from", "workers/rollback_to", "workers/triggered_by"})
"""The annotations that the server writes."""

_KNOWN = _WRITTEN_BY_SERVER | _MAX_BYTES.keys()
_AT = "/annotations"


def parse_annotations(raw: object, limits: Limits) -> bytes:
    """Return the known annotations as JSON; b"{}" for None.

    Raises:
        NightsafeError: INVALID, if they are not an object, if a known annotation is misspelt, not a string or too
            long, or if they are too large together.
    """
    fields = {} if raw is None else need_object(raw, _AT, "'annotations'")
    refuse_misspelt(fields, _KNOWN, _AT)
    annotations = {}
    for name, max_bytes in _MAX_BYTES.items():
        text = optional_string(fields, name, _AT)
        if text:
            annotations[name] = _limited(name, text, max_bytes)
    encoded = msgspec.json.encode(annotations)
    if len(encoded) > limits.max_annotation_bytes:
        raise NightsafeError(
            Code.INVALID, f"'annotations' is larger than {limits.max_annotation_bytes} bytes as JSON", _AT
        )
    return encoded


def annotation_notices(raw: object) -> tuple[Problem, ...]:
    """Return a notice for each unknown annotation; call it after `parse_annotations`."""
    return unknown_member_notices(raw, _KNOWN, _AT) if isinstance(raw, dict) else ()


def _limited(name: str, text: str, max_bytes: int) -> str:
    """Return an annotation within its limit; truncate the message, and refuse any other that is too long."""
    encoded = text.encode()
    if len(encoded) > max_bytes and name != _TRUNCATED:
        raise NightsafeError(Code.INVALID, f"'{name}' is longer than {max_bytes} bytes", pointer_to(_AT, name))
    return encoded[:max_bytes].decode(errors="ignore")
