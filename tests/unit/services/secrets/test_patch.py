"""A merge patch is read whole: what to set, what to drop, and every secret at fault."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightsafe.errors import Code, NightsafeError
from nightsafe.secret_value import SecretValue
from nightsafe.services.limits import Limits
from nightsafe.services.secrets.secrets import parse_patch

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
LIMITS = Limits(max_operations=5, max_annotation_bytes=60)


@given(st.dictionaries(NAMES, st.none() | st.booleans(), max_size=5))
def test_objects_set_and_null_drops(entries: dict[str, bool | None]) -> None:
    """Each member sets or drops, in order; the name may be repeated inside."""
    body = {
        name: None if named is None else {"type": "secret_text", "text": name} | ({"name": name} if named else {})
        for name, named in entries.items()
    }
    patch = parse_patch({"secrets": body}, LIMITS)

    assert [name for name, named in entries.items() if named is not None] == [secret.name for secret in patch.set]
    assert tuple(name for name, named in entries.items() if named is None) == patch.drop
    values = [secret.value.reveal() for secret in patch.set if isinstance(secret.value, SecretValue)]
    assert [secret.name.encode() for secret in patch.set] == values
    assert patch.annotations == b"{}"


@given(st.dictionaries(NAMES, st.sampled_from([1, "x", [], {}, {"type": "secret_text"}]), min_size=1, max_size=5))
def test_every_secret_at_fault_is_told(entries: dict[str, Any]) -> None:
    """One problem each, in their order, pointed at through escaped names."""
    with pytest.raises(NightsafeError) as refusal:
        parse_patch({"secrets": {**entries}}, LIMITS)

    pointers = [problem.pointer or "" for problem in refusal.value.problems]
    escaped = [name.replace("~", "~0").replace("/", "~1") for name in entries]
    assert len(escaped) == len(pointers)
    for name, pointer in zip(escaped, pointers, strict=True):
        assert pointer.removeprefix(f"/secrets/{name}") in {"", "/type", "/text"}


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        (None, Code.INVALID, ""),
        ([], Code.INVALID, ""),
        ({"secrets": None}, Code.INVALID, "/secrets"),
        ({"secrets": []}, Code.INVALID, "/secrets"),
        ({"secrets": {str(at): None for at in range(6)}}, Code.TOO_MANY_OPERATIONS, "/secrets"),
        ({"secrets": {}, "version_tags": None}, Code.INVALID, "/version_tags"),
        ({"secrets": {}, "version_tags": {"a": "x" * 60}}, Code.INVALID, "/version_tags"),
    ],
)
def test_what_cannot_be_is_pointed_at(body: object, code: Code, pointer: str) -> None:
    """The body, its members, how many there are and how large the tags are."""
    with pytest.raises(NightsafeError) as refusal:
        parse_patch(body, LIMITS)

    assert [(code, pointer)] == [(one.code, one.pointer) for one in refusal.value.problems]


def test_tags_go_with_the_version() -> None:
    """They are kept as they came; an empty patch is one too."""
    tagged = {"secrets": {}, "version_tags": {"a": [1]}}
    assert json.loads(parse_patch(tagged, LIMITS).annotations) == {"version_tags": {"a": [1]}}
    empty = parse_patch({"secrets": {}, "version_tags": {}}, LIMITS)
    assert ((), (), b"{}") == (empty.set, empty.drop, empty.annotations)
