"""Merging of JSON objects, compared with dictionaries."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightsafe.store.rules.json_merge import apply_settings, merge_json
from nightsafe.store.script_edit import SettingsUpdate

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
OBJECTS = st.dictionaries(st.sampled_from(["a", "b", "é", ""]), VALUES, max_size=4)
SPACING = st.sampled_from([None, 1])


def wire(value: dict[str, Any], indent: int | None = None) -> bytes:
    """Return an object as JSON."""
    return json.dumps(value, indent=indent).encode()


@settings(deadline=None)
@given(body=OBJECTS, patch=OBJECTS, indent=SPACING)
def test_a_patch_is_merged_member_by_member(body: dict[str, Any], patch: dict[str, Any], indent: int | None) -> None:
    """Members of the patch replace members of the same name, null members remove them, and others stay."""
    expected = {name: value for name, value in {**body, **patch}.items() if name not in patch or value is not None}

    assert expected == json.loads(merge_json(wire(body, indent), wire(patch, indent)))


@settings(deadline=None)
@given(body=OBJECTS, patch=OBJECTS, merge=st.booleans(), indent=SPACING)
def test_unchanged_settings_are_none(
    body: dict[str, Any], patch: dict[str, Any], *, merge: bool, indent: int | None
) -> None:
    """Changed settings are the merge or the new body; unchanged settings are None."""
    old = wire(body, indent)

    once = apply_settings(old, SettingsUpdate(wire(patch, indent), merge))
    now = old if once is None else once

    assert apply_settings(now, SettingsUpdate(wire(patch, indent), merge)) is None
    assert now == (merge_json(old, wire(patch, indent)) if merge else old if once is None else wire(patch, indent))


@settings(deadline=None)
@given(body=OBJECTS, indent=SPACING)
def test_an_empty_patch_changes_no_byte(body: dict[str, Any], indent: int | None) -> None:
    """An empty patch does not change a byte, not even the spacing."""
    assert wire(body, indent) == merge_json(wire(body, indent), b"{}")


def test_unpatched_members_stay_byte_for_byte() -> None:
    """Numbers that no float can hold, and spacing inside members, stay unchanged."""
    body = b'{"n": 12345678901234567890.10, "l": [1,  2], "x": 1}'

    assert merge_json(body, b'{"x":null}') == b'{"n":12345678901234567890.10,"l":[1,  2]}'


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"a":'])
def test_json_that_is_not_an_object_raises(body: bytes) -> None:
    """A replacement or merge with JSON that is not an object raises: callers must have checked it."""
    for merge in (True, False):
        with pytest.raises(msgspec.DecodeError):
            apply_settings(b"{}", SettingsUpdate(body, merge))
