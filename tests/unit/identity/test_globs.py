"""Globs over names of scripts, inside and outside dispatch namespaces."""

import fnmatch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from nightsafe.identity.globs import Globs

PARTS = st.text(st.sampled_from("ab-*?[]!"), min_size=1, max_size=5)
GLOBS = st.lists(PARTS, min_size=1, max_size=2).map("/".join)
NAMES = st.lists(st.text(st.sampled_from("ab-"), min_size=1, max_size=4), min_size=1, max_size=2).map("/".join)


@given(GLOBS, NAMES)
@settings(deadline=None)
def test_a_name_matches_part_by_part(glob: str, name: str) -> None:
    """A glob matches like a shell's within a part, and never across a slash."""
    patterns, parts = glob.split("/"), name.split("/")
    alike = len(patterns) == len(parts) and all(map(fnmatch.fnmatchcase, parts, patterns))

    assert alike is bool(Globs([glob]).find_matching(name))


@given(GLOBS, GLOBS, NAMES)
@settings(max_examples=examples(600), deadline=None)
def test_containing_and_touching_hold_for_every_name(outer: str, inner: str, name: str) -> None:
    """Every name of a contained glob matches the containing one; no name matches two globs that do not touch."""
    in_outer, in_inner = bool(Globs([outer]).find_matching(name)), bool(Globs([inner]).find_matching(name))
    if Globs([outer]).find_supersets(inner) and in_inner:
        assert in_outer
    if not Globs([outer]).find_overlapping(inner):
        assert not (in_outer and in_inner)


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ("billing-*", "billing-eu-*"),
        ("billing-*", "billing-eu"),
        ("*", "a?[bc]"),
        ("tenants/*", "tenants/a"),
        ("*/*", "tenants/a-*"),
    ],
)
def test_common_globs_are_contained(outer: str, inner: str) -> None:
    """Globs as people write them are recognised as contained."""
    assert Globs([outer]).find_supersets(inner)


@pytest.mark.parametrize(
    ("outer", "inner"),
    [("billing-eu-*", "billing-*"), ("*", ""), ("*", "tenants/a"), ("tenants/*", "a"), ("tenants*", "tenants/a")],
)
def test_a_wider_glob_is_not_contained(outer: str, inner: str) -> None:
    """A wider glob, the whole account, and names across a namespace's border are not contained."""
    assert not Globs([outer]).find_supersets(inner)


@pytest.mark.parametrize(
    ("one", "other"), [("billing-*", "shop-*"), ("billing-*", "shop"), ("*", "tenants/*"), ("a/*", "b/*")]
)
def test_separate_globs_do_not_touch(one: str, other: str) -> None:
    """Globs with different beginnings, or on different sides of a namespace's border, do not touch."""
    assert not Globs([one]).find_overlapping(other)
