"""Policies: the default is deny, and a denial overrides every permission."""

import fnmatch
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.grants import Grants
from nightsafe.identity.permissions import ALL_ACCESS, PERMISSION_GROUPS, Action
from nightsafe.identity.policy import (
    ACCOUNT_RESOURCE,
    ALL_ACCOUNTS,
    SCRIPT_RESOURCE,
    USER_RESOURCE,
    GroupRef,
    Policy,
    Resource,
    Scope,
    allow_policy,
    check_policies,
    confine,
    encode_policies,
    parse_policies,
    policies_for,
)

ACCOUNTS = ["a" * 32, "b" * 32, "c" * 32]
USERS = ["1" * 32, "2" * 32]
SCRIPTS = ["", "billing", "billing-eu", "billing-us", "web", "b"]
GLOBS = ["*", "billing*", "billing-*", "billing-??", "web", "[bw]*", "[!b]*", "b", "nothing", "[", "b?*g"]
RESOURCES = [
    *(Resource(account, script) for account in ACCOUNTS for script in SCRIPTS),
    *(Resource(user_id=user) for user in USERS),
]
GROUPS = st.sampled_from([*PERMISSION_GROUPS, "0" * 32])
NAMES = st.sampled_from(
    [
        *(ACCOUNT_RESOURCE + account for account in (*ACCOUNTS, ALL_ACCOUNTS)),
        *(USER_RESOURCE + user for user in (*USERS, ALL_ACCOUNTS)),
        "*",
        "com.other." + ACCOUNTS[0],
    ]
)
SCOPES: st.SearchStrategy[Scope] = st.sampled_from(["*", "*", "*", "", "x"]) | st.dictionaries(
    st.sampled_from(GLOBS).map(SCRIPT_RESOURCE.__add__), st.sampled_from(["*", "*", "x"]), max_size=3
)
POLICIES = st.builds(
    Policy,
    effect=st.sampled_from(["allow", "deny"]),
    permission_groups=st.lists(GROUPS.map(GroupRef), max_size=3).map(tuple),
    resources=st.dictionaries(NAMES, SCOPES, max_size=3),
)


def has_effect(policy: Policy, effect: str, action: Action, resource: Resource) -> bool:
    """Return whether a policy has this effect on an action and a resource; written a second time, without a cache."""
    groups = [PERMISSION_GROUPS[group.id] for group in policy.permission_groups if group.id in PERMISSION_GROUPS]
    if policy.effect != effect or not any(action in group.actions for group in groups):
        return False
    if resource.user_id:
        return policy.resources.get(USER_RESOURCE + resource.user_id) == "*"
    for account in (resource.account_id, ALL_ACCOUNTS):
        scope = policy.resources.get(ACCOUNT_RESOURCE + account)
        if scope == "*":
            return True
        if isinstance(scope, dict) and resource.script:
            globs = [name.removeprefix(SCRIPT_RESOURCE) for name, value in scope.items() if value == "*"]
            if any(fnmatch.fnmatchcase(resource.script, glob) for glob in globs):
                return True
    return False


def allowed(policies: list[Policy]) -> set[tuple[Action, Resource]]:
    """Return all allowed pairs of actions and resources."""
    grants = Grants(policies)
    return {(action, resource) for action in Action for resource in RESOURCES if grants.allow(action, resource)}


@given(st.lists(POLICIES, max_size=6))
@settings(deadline=None)
def test_deny_wins_and_is_the_default(policies: list[Policy]) -> None:
    """An action is allowed exactly if some policy allows it and none denies it, the second time too."""
    grants = Grants(policies)
    for resource in RESOURCES * 2:
        for action in Action:
            permitted = any(has_effect(policy, "allow", action, resource) for policy in policies)
            denied = any(has_effect(policy, "deny", action, resource) for policy in policies)
            assert (permitted and not denied) is grants.allow(action, resource)


@given(st.lists(POLICIES, max_size=5).flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))))
@settings(deadline=None)
def test_the_order_of_policies_does_not_matter(orders: tuple[list[Policy], list[Policy]]) -> None:
    """Any order of policies gives the same result."""
    first, second = orders

    assert allowed(first) == allowed(second)


@given(st.lists(POLICIES, max_size=5), POLICIES)
@settings(deadline=None)
def test_a_denial_never_allows_more(policies: list[Policy], more: Policy) -> None:
    """A further denial never allows more, and a further permission never allows less."""
    before, after = allowed(policies), allowed([*policies, more])

    assert after <= before if more.effect == "deny" else before <= after


@given(st.lists(POLICIES, max_size=6))
@settings(deadline=None)
def test_the_policy_that_allows_is_named(policies: list[Policy]) -> None:
    """The named policy is one that allows exactly this action."""
    named = list(parse_policies(encode_policies(policies)))
    grants = Grants(named)
    for resource in RESOURCES:
        for action in Action:
            policy_id = grants.allowed_by(action, resource)
            if policy_id is not None:
                [policy] = [one for one in named if one.id == policy_id]
                assert has_effect(policy, "allow", action, resource)


@given(st.lists(POLICIES, max_size=6))
@settings(deadline=None)
def test_accounts_are_visible_to_callers_with_permissions(policies: list[Policy]) -> None:
    """An account is visible to every caller with a permission in it or for its scripts, and to no other."""
    grants, may = Grants(policies), {resource.account_id for _, resource in allowed(policies)} - {""}
    permitting = [policy for policy in policies if policy.effect == "allow"]
    named = {account for account in ACCOUNTS for policy in permitting if confine(policy, account).resources}

    seen = {account for account in ACCOUNTS if grants.has_access_to(account)}

    assert may <= seen <= named
    assert {account for account in ACCOUNTS if account in grants.accounts()} <= seen


@given(POLICIES, st.sampled_from(ACCOUNTS))
@settings(deadline=None)
def test_a_confined_policy_is_unchanged_in_its_account(policy: Policy, account: str) -> None:
    """A confined policy says nothing of other accounts or of users."""
    confined = confine(policy, account)
    for effect in ("allow", "deny"):
        for resource in RESOURCES:
            for action in Action:
                expected = resource.account_id == account and has_effect(policy, effect, action, resource)
                assert expected is has_effect(confined, effect, action, resource)


def test_remembered_decisions_are_limited() -> None:
    """The cache is limited and the answers stay the same; scripts without globs are not cached."""
    globbed = Grants([allow_policy(ACCOUNT_RESOURCE + ACCOUNTS[0], ALL_ACCESS, scripts=["x*"])])
    plain = Grants([allow_policy(ACCOUNT_RESOURCE + ACCOUNTS[0], ALL_ACCESS)])
    for _ in range(2):
        for number in range(3000):
            for name in (f"x{number}", f"y{number}"):
                resource = Resource(ACCOUNTS[0], name)
                assert globbed.allow(Action.READ_SECRETS, resource) is name.startswith("x")
                assert plain.allow(Action.READ_SECRETS, resource)

    assert 0 < len(globbed._cached) <= 1024
    assert len(plain._cached) == 1


def test_permission_groups_have_their_published_actions() -> None:
    """Reading groups write nothing; ids and names are those that Cloudflare publishes."""
    by_name = {group.name: group for group in PERMISSION_GROUPS.values()}
    secrets = {Action.READ_SECRETS, Action.WRITE_SECRETS}

    assert {Action.READ_SCRIPTS, Action.READ_SECRETS} == by_name["Workers Scripts Read"].actions
    assert {Action.READ_SECRETS} == by_name["Workers Tail Read"].actions
    assert secrets | {Action.READ_SCRIPTS, Action.WRITE_SCRIPTS} == by_name["Workers Scripts Write"].actions
    assert secrets == by_name["Nightsafe Secrets Write"].actions
    assert {Action.DELIVER} == by_name["Nightsafe Delivery"].actions
    assert set(Action) - {Action.DELIVER, Action.RESEAL} == PERMISSION_GROUPS[ALL_ACCESS].actions
    assert by_name["Workers Scripts Write"].id == "e086da7e2179491d91ee5f35b3ca210a"
    assert by_name["Workers Scripts Read"].id == "1a71c399035b4950a1bd1466bbe4f420"
    assert by_name["Account Settings Read"].id == "c1fde68c7bcc44588cbb6ddbc16d6480"
    assert all(group.id == identifier for identifier, group in PERMISSION_GROUPS.items())
    for name, group in by_name.items():
        assert not name.endswith("Read") or all(action.endswith(".read") for action in group.actions)


def test_stored_policies_are_read_for_their_account() -> None:
    """Policies stored for an account are read as grants on that account alone."""
    [policy] = parse_policies(policies_for(ACCOUNTS[0], ALL_ACCESS))

    assert ({ACCOUNT_RESOURCE + ACCOUNTS[0]: "*"}, "#0") == (policy.resources, policy.id)
    assert {ACCOUNTS[0]} == Grants([policy]).accounts()
    assert set() == Grants(parse_policies(policies_for(ACCOUNTS[0], "unknown"))).accounts()
    assert () == parse_policies(b"[]")


@given(st.lists(POLICIES, max_size=4))
@settings(deadline=None)
def test_policies_are_unchanged_after_storing(policies: list[Policy]) -> None:
    """Policies are unchanged after writing and reading, except that one without an id gets its position as id."""
    read = parse_policies(encode_policies(policies))

    assert [(policy.effect, policy.permission_groups, policy.resources) for policy in policies] == [
        (policy.effect, policy.permission_groups, policy.resources) for policy in read
    ]
    assert [f"#{place}" for place in range(len(policies))] == [policy.id for policy in read]


ONE = ACCOUNT_RESOURCE + ACCOUNTS[0]
GOOD: list[dict[str, Scope]] = [
    {ONE: "*"},
    {ACCOUNT_RESOURCE + ALL_ACCOUNTS: "*"},
    {USER_RESOURCE + USERS[0]: "*"},
    {ONE: {SCRIPT_RESOURCE + "billing-*": "*", SCRIPT_RESOURCE + "web": "*"}},
    {ACCOUNT_RESOURCE + ALL_ACCOUNTS: {SCRIPT_RESOURCE + "[a-c]?": "*"}},
    {ONE: {SCRIPT_RESOURCE + "Tenants-*/web": "*"}},
]
BAD: list[dict[str, Scope]] = [
    {},
    {ONE: ""},
    {ONE: "x"},
    {ONE: {}},
    {ONE + "0": "*"},
    {ONE[:-1]: "*"},
    {ONE.upper(): "*"},
    {"*": "*"},
    {"com.cloudflare.api.account.zone.*": "*"},
    {USER_RESOURCE + ALL_ACCOUNTS: "*"},
    {USER_RESOURCE + USERS[0]: {SCRIPT_RESOURCE + "a": "*"}},
    {ONE: {SCRIPT_RESOURCE: "*"}},
    {ONE: {SCRIPT_RESOURCE + "a": "x"}},
    {ONE: {SCRIPT_RESOURCE + "Billing": "*"}},
    {ONE: {SCRIPT_RESOURCE + "a/b/c": "*"}},
    {ONE: {SCRIPT_RESOURCE + "/b": "*"}},
    {ONE: {SCRIPT_RESOURCE + "a/": "*"}},
    {ONE: {SCRIPT_RESOURCE + "a/B": "*"}},
    {ONE: {SCRIPT_RESOURCE + "a": "*", "b": "*"}},
    {ONE: "*", ONE + "0": "*"},
]


@pytest.mark.parametrize("resources", GOOD, ids=json.dumps)
def test_valid_resources_are_accepted(resources: dict[str, Scope]) -> None:
    """Valid resources are accepted."""
    check_policies([Policy(effect="allow", permission_groups=(GroupRef(ALL_ACCESS),), resources=resources)])


@pytest.mark.parametrize("resources", BAD, ids=json.dumps)
def test_invalid_resources_are_refused(resources: dict[str, Scope]) -> None:
    """Invalid resources are refused, because a denial of them would have no effect."""
    good = allow_policy(ONE, ALL_ACCESS)
    bad = Policy(effect="deny", permission_groups=(GroupRef(ALL_ACCESS),), resources=resources)
    with pytest.raises(NightsafeError) as refused:
        check_policies([good, bad])

    [problem] = refused.value.problems
    assert (Code.INVALID, "/policies/1" + "/resources" * bool(resources)) == (problem.code, problem.pointer)


@pytest.mark.parametrize(("groups", "pointer"), [((), ""), ((ALL_ACCESS, "0" * 32), "/permission_groups/1/id")])
def test_invalid_permission_groups_are_refused(groups: tuple[str, ...], pointer: str) -> None:
    """Invalid permission groups are refused, with a pointer to the first."""
    with pytest.raises(NightsafeError) as refused:
        check_policies([allow_policy(ONE, *groups)])

    assert (Code.INVALID, "/policies/0" + pointer) == (refused.value.code, refused.value.problems[0].pointer)
