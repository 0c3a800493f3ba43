"""Annotations of versions."""

import json

import pytest

from nightsafe.errors import Code, NightsafeError
from nightsafe.services.limits import Limits
from nightsafe.services.versions.annotations import parse_annotations

LIMITS = Limits()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, {}),
        ({}, {}),
        ({"workers/message": None, "workers/tag": ""}, {}),
        ({"workers/message": "why", "workers/tag": "v1"}, {"workers/message": "why", "workers/tag": "v1"}),
        ({"workers/triggered_by": "rollback", "other": {"a": 1}}, {}),
        ({"workers/message": "x" * 1001}, {"workers/message": "x" * 1000}),
        ({"workers/message": "x" * 999 + "é"}, {"workers/message": "x" * 999}),
        ({"workers/commit_sha": "0" * 64}, {"workers/commit_sha": "0" * 64}),
    ],
)
def test_known_annotations_are_kept(given: object, kept: dict[str, str]) -> None:
    """Known annotations are kept, long messages are cut between characters, and other annotations are dropped."""
    assert kept == json.loads(parse_annotations(given, LIMITS))


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ([], "/annotations"),
        ({"workers/message": 1}, "/annotations/workers~1message"),
        ({"workers/tag": "é" * 51}, "/annotations/workers~1tag"),
    ],
)
def test_invalid_annotations_are_refused(given: object, pointer: str) -> None:
    """Annotations that are no object, no string or too long are refused with a pointer."""
    with pytest.raises(NightsafeError) as refusal:
        parse_annotations(given, LIMITS)

    assert (Code.INVALID, pointer) == (refusal.value.code, refusal.value.problems[0].pointer)


def test_annotations_over_the_total_limit_are_refused() -> None:
    """The JSON of all annotations must keep to the operator's limit."""
    with pytest.raises(NightsafeError) as refusal:
        parse_annotations({"workers/message": "x"}, Limits(max_annotation_bytes=10))

    assert refusal.value.code == Code.INVALID
