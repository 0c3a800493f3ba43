"""Delegation: a giver has everything that it gives, checked against the decisions themselves."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from nightsafe.identity.delegation import covers
from nightsafe.identity.grants import Grants
from nightsafe.identity.permissions import ALL_ACCESS, PERMISSION_GROUPS, Action
from nightsafe.identity.policy import ACCOUNT_RESOURCE, SCRIPT_RESOURCE, USER_RESOURCE, GroupRef, Policy, Resource

GLOBS = st.text("ab*?[]!-", min_size=1, max_size=5) | st.sampled_from(
    ["a*", "ab*", "*", "a", "ab", "?", "a?", "[ab]"]
)
NAMES = st.text("ab-", min_size=1, max_size=5)
IDS = st.sampled_from(["1" * 32, "1" * 32, "*"])
SCOPES = st.just("*") | st.dictionaries(GLOBS.map(SCRIPT_RESOURCE.__add__), st.just("*"), min_size=1, max_size=2)
RESOURCES = st.dictionaries(IDS.map(ACCOUNT_RESOURCE.__add__), SCOPES, min_size=1, max_size=2)
USERS = st.dictionaries(IDS.map(USER_RESOURCE.__add__), st.just("*"), max_size=1)
GROUPS = st.sampled_from([ALL_ACCESS, ALL_ACCESS, *PERMISSION_GROUPS]).map(lambda group: (GroupRef(group),))
POLICIES = st.lists(
    st.builds(
        Policy,
        effect=st.sampled_from(["allow", "allow", "deny"]),
        permission_groups=GROUPS,
        resources=st.builds(lambda accounts, users: accounts | users, RESOURCES, USERS),
    ),
    min_size=1,
    max_size=3,
)
ASKED = st.builds(Resource, st.sampled_from(["1" * 32, "2" * 32]), st.just("") | NAMES) | st.builds(
    lambda user_id: Resource(user_id=user_id), st.sampled_from(["1" * 32, "2" * 32])
)


@given(POLICIES, POLICIES, st.sampled_from([Action.READ_SECRETS, Action.READ_TOKENS]), ASKED)
@settings(max_examples=examples(600), deadline=None)
def test_given_policies_allow_no_more_than_the_givers(
    mine: list[Policy], theirs: list[Policy], action: Action, asked: Resource
) -> None:
    """Every action that the given policies allow on a resource is allowed to the giver too."""
    giver, given_ = Grants(mine), Grants(theirs)
    if covers(giver, given_) and given_.allow(action, asked):
        assert giver.allow(action, asked)


@given(POLICIES)
@settings(deadline=None)
def test_a_giver_may_give_its_own_policies(mine: list[Policy]) -> None:
    """A giver may give exactly its own policies."""
    assert covers(Grants(mine), Grants(mine))
