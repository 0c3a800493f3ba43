"""Globs over the names of scripts, inside and outside of dispatch namespaces."""

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
    """A glob matches as a shell's does within a part, and never past a slash."""
    patterns, parts = glob.split("/"), name.split("/")
    alike = len(patterns) == len(parts) and all(map(fnmatch.fnmatchcase, parts, patterns))

    assert alike is bool(Globs([glob]).matching(name))


@given(GLOBS, GLOBS, NAMES)
@settings(max_examples=examples(600), deadline=None)
def test_what_is_said_of_two_globs_is_true_of_every_name(outer: str, inner: str, name: str) -> None:
    """A name of a glob that lies within another is one of the other's; no name is in two that are apart."""
    in_outer, in_inner = bool(Globs([outer]).matching(name)), bool(Globs([inner]).matching(name))
    if Globs([outer]).containing(inner) and in_inner:
        assert in_outer
    if not Globs([outer]).touching(inner):
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
def test_what_people_write_is_known_to_lie_within(outer: str, inner: str) -> None:
    """The cases that people write are not refused."""
    assert Globs([outer]).containing(inner)


@pytest.mark.parametrize(
    ("outer", "inner"),
    [("billing-eu-*", "billing-*"), ("*", ""), ("*", "tenants/a"), ("tenants/*", "a"), ("tenants*", "tenants/a")],
)
def test_what_is_more_is_not_within(outer: str, inner: str) -> None:
    """A wider glob, the whole account, and what is on the other side of a namespace's border."""
    assert not Globs([outer]).containing(inner)


@pytest.mark.parametrize(
    ("one", "other"), [("billing-*", "shop-*"), ("billing-*", "shop"), ("*", "tenants/*"), ("a/*", "b/*")]
)
def test_what_is_apart_is_known(one: str, other: str) -> None:
    """Different beginnings, and scripts of a namespace against scripts of none."""
    assert not Globs([one]).touching(other)
