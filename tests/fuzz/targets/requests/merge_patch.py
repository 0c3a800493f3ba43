"""JSON Merge Patch: the first line is a target, the rest a patch."""

from typing import Any

from nightsafe.api.http.body import parse_json
from nightsafe.errors import NightsafeError
from nightsafe.services.merge_patch import merge_patch


def check(data: bytes) -> None:
    """Check that a patch applied twice equals one applied once, alters neither side, and leaves none of its nulls."""
    first, _, second = data.partition(b"\n")
    try:
        target, patch = parse_json(first), parse_json(second)
    except NightsafeError:
        return
    kept = repr((target, patch))
    merged = merge_patch(target, patch)
    assert merge_patch(merged, patch) == merged
    assert repr((target, patch)) == kept
    assert not isinstance(patch, dict) or not _nulls(patch) & _members(merged)


def _nulls(patch: dict[str, Any]) -> set[str]:
    """Return the members that the patch removes."""
    return {name for name, value in patch.items() if value is None}


def _members(merged: Any) -> set[str]:
    """Return the members of the result."""
    return set(merged) if isinstance(merged, dict) else set()
