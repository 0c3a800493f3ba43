"""JSON bodies: every strict reader takes the bodies that are taken, and reads them alike."""

import json

import msgspec

from nightsafe.api.http.body import MAX_DEPTH, parse_json
from nightsafe.errors import Code, NightsafeError


def check(data: bytes) -> None:
    """Check that two other readers find the same value, and that it survives being encoded."""
    try:
        value = parse_json(data)
    except NightsafeError as refused:
        assert refused.code is Code.BODY_UNREADABLE
        return
    assert value == json.loads(data)
    written = msgspec.json.encode(value)
    assert _depth(value) <= MAX_DEPTH
    assert parse_json(written) == value
    assert msgspec.json.decode(data) == value


def _depth(value: object) -> int:
    """Return how many levels of objects and lists there are."""
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0
