"""What a client may write beside a version or a deployment: a message, a tag, where its code comes from.

Source: `annotations` in the Cloudflare v4 API's specification, with its limits. What else reads show belongs to the
server, and is passed over: a client may send it back.
"""

import msgspec

from nightsafe.bindings.json_fields import need_object, optional_string, pointer_to
from nightsafe.bindings.unknown_members import refuse_slips, unknown
from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.services.limits import Limits

_CUT = "workers/message"
"""The one that is cut when it is too long; the others are refused."""

_MAX_BYTES = {
    _CUT: 1000,
    "workers/tag": 100,
    "workers/alias": 100,
    "workers/commit_sha": 64,
    "workers/pull_request_number": 20,
    "workers/pull_request_title": 512,
    "workers/pull_request_url": 512,
    "workers/repository_url": 512,
}
_SERVERS = frozenset({"workers/rollback_from", "workers/rollback_to", "workers/triggered_by"})
"""Those that a server writes."""

_KNOWN = _SERVERS | _MAX_BYTES.keys()
_AT = "/annotations"


def parse_annotations(raw: object, limits: Limits) -> bytes:
    """Annotations as JSON of the parts that are kept; b"{}" for None.

    Raises:
        NightsafeError: INVALID, for what is no object, has a slip of a part that is kept, a part that is no
            string or is too long, or is too large.
    """
    fields = {} if raw is None else need_object(raw, _AT, "'annotations'")
    refuse_slips(fields, _KNOWN, _AT)
    kept = {}
    for name, most in _MAX_BYTES.items():
        text = optional_string(fields, name, _AT)
        if text:
            kept[name] = _fitting(name, text, most)
    encoded = msgspec.json.encode(kept)
    if len(encoded) > limits.max_annotation_bytes:
        raise NightsafeError(Code.INVALID, f"'annotations' is over {limits.max_annotation_bytes} bytes of JSON", _AT)
    return encoded


def of_annotations(raw: object) -> tuple[Problem, ...]:
    """A notice for each annotation that is not kept, of those that `parse_annotations` has read."""
    return unknown(raw, _KNOWN, _AT) if isinstance(raw, dict) else ()


def _fitting(name: str, text: str, most: int) -> str:
    """An annotation that is within its limit, or is cut to it."""
    whole = text.encode()
    if len(whole) > most and name != _CUT:
        raise NightsafeError(Code.INVALID, f"'{name}' is over {most} bytes", pointer_to(_AT, name))
    return whole[:most].decode(errors="ignore")
