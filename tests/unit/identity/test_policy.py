"""Policies: the default is deny, and a denial wins over every permission."""

from hypothesis import given
from hypothesis import strategies as st

from nightsafe.identity.policy import (
    ACCOUNT_RESOURCE,
    ALL_ACCESS,
    PERMISSION_GROUPS,
    Action,
    GroupRef,
    Policy,
    combine,
    grants_of,
    policies_for,
)
from nightsafe.identity.service import Principal, may

ACCOUNTS = ["a" * 32, "b" * 32, "c" * 32]
GROUPS = [*PERMISSION_GROUPS, "0" * 32]
NAMES = [ACCOUNT_RESOURCE + account for account in ACCOUNTS] + [
    "*",
    ACCOUNT_RESOURCE + "*",
    "com.other." + ACCOUNTS[0],
]

POLICIES = st.builds(
    Policy,
    st.sampled_from(["allow", "deny"]),
    st.lists(st.sampled_from(GROUPS).map(GroupRef), max_size=3).map(tuple),
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["*", "", "x"]), max_size=3),
)


def says(policy: Policy, effect: str, action: Action, account: str) -> bool:
    """Whether a policy speaks of an action in an account, to this effect."""
    groups = [PERMISSION_GROUPS[group.id] for group in policy.permission_groups if group.id in PERMISSION_GROUPS]
    named = policy.resources.get(ACCOUNT_RESOURCE + account) == "*"
    return policy.effect == effect and named and any(action in group.actions for group in groups)


@given(st.lists(POLICIES, max_size=6))
def test_deny_wins_and_is_the_default(policies: list[Policy]) -> None:
    """What may be done is exactly what some policy allows and none denies."""
    grants = combine(policies)
    principal = Principal(kind="token", id="t", user_id="u", email="", grants=grants)

    for account in ACCOUNTS:
        for action in Action:
            allowed = any(says(one, "allow", action, account) for one in policies)
            denied = any(says(one, "deny", action, account) for one in policies)
            assert (allowed and not denied) is may(principal, action, account)


@given(st.lists(POLICIES, max_size=5).flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))))
def test_the_order_of_policies_does_not_matter(orders: tuple[list[Policy], list[Policy]]) -> None:
    """Any order comes to the same."""
    first, second = ({account: actions for account, actions in combine(some).items() if actions} for some in orders)

    assert first == second


@given(st.lists(POLICIES, max_size=5), POLICIES)
def test_a_denial_takes_only_away(policies: list[Policy], more: Policy) -> None:
    """With one more denial nothing can be done that could not be done before; with a permission, nothing less."""
    before, after = combine(policies), combine([*policies, more])

    for account in ACCOUNTS:
        had, has = before.get(account, frozenset()), after.get(account, frozenset())
        assert has <= had if more.effect == "deny" else had <= has


def test_groups_do_what_their_names_say() -> None:
    """Reading groups write nothing; ids and names are those that Cloudflare publishes."""
    by_name = {group.name: group for group in PERMISSION_GROUPS.values()}

    assert {Action.READ_SCRIPTS, Action.READ_SECRETS} == by_name["Workers Scripts Read"].actions
    assert {Action.READ_SECRETS} == by_name["Workers Tail Read"].actions
    assert set(Action) == by_name["Workers Scripts Write"].actions == PERMISSION_GROUPS[ALL_ACCESS].actions
    assert by_name["Workers Scripts Write"].id == "e086da7e2179491d91ee5f35b3ca210a"
    assert by_name["Workers Scripts Read"].id == "1a71c399035b4950a1bd1466bbe4f420"
    assert all(group.id == identifier for identifier, group in PERMISSION_GROUPS.items())


def test_stored_policies_come_back() -> None:
    """What is written for an account is read as grants on that account alone."""
    assert {ACCOUNTS[0]: frozenset(Action)} == grants_of(policies_for(ACCOUNTS[0], ALL_ACCESS))
    assert {ACCOUNTS[0]: frozenset()} == grants_of(policies_for(ACCOUNTS[0], "unknown"))
    assert {} == grants_of(b"[]")
