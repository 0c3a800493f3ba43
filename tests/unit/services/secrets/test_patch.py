"""Parsing of a merge patch of secrets: names to set, names to drop, and all problems."""

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
def test_objects_set_secrets_and_nulls_drop_them(entries: dict[str, bool | None]) -> None:
    """Each object sets a secret and each null drops one, in order; the name may be repeated inside."""
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
def test_each_bad_secret_gets_a_problem(entries: dict[str, Any]) -> None:
    """Each bad secret gets one problem, in order, with its escaped name in the pointer."""
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
def test_an_invalid_patch_is_refused_with_a_pointer(body: object, code: Code, pointer: str) -> None:
    """A bad body or member, too many secrets and too large tags are refused with a pointer."""
    with pytest.raises(NightsafeError) as refusal:
        parse_patch(body, LIMITS)

    assert [(code, pointer)] == [(problem.code, problem.pointer) for problem in refusal.value.problems]


def test_version_tags_are_kept() -> None:
    """The version's tags are kept unchanged; an empty patch is valid."""
    tagged = {"secrets": {}, "version_tags": {"a": [1]}}
    assert json.loads(parse_patch(tagged, LIMITS).annotations) == {"version_tags": {"a": [1]}}
    empty = parse_patch({"secrets": {}, "version_tags": {}}, LIMITS)
    assert ((), (), b"{}") == (empty.set, empty.drop, empty.annotations)
