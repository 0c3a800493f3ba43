"""The work of evaluating a token's policies, counted in calls: it grows with their size, not with its square."""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.compiled import CompiledTokens
from nightsafe.identity.conditions import Condition, Networks, RequestIp
from nightsafe.identity.delegation import covers
from nightsafe.identity.grants import Grants
from nightsafe.identity.permissions import ALL_ACCESS, Action
from nightsafe.identity.policy import (
    ACCOUNT_RESOURCE,
    MAX_CHARACTERS,
    MAX_PATTERN_CHARACTERS,
    MAX_PATTERNS,
    MAX_POLICIES,
    MAX_RESOURCES,
    Policy,
    Resource,
    allow_policy,
    check_policies,
    encode_policies,
)
from nightsafe.store.identities import Token

ACCOUNT = "a" * 32
_MANY = 400


def calls_of(work: Callable[[], Any]) -> int:
    """Return how many functions are called, including functions in C."""
    count = 0

    def one_more(_: Any, event: str, __: Any) -> None:
        """Count a call."""
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(one_more)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def policies_of(*globs: str, each: int = 10, effect: str = "allow") -> list[Policy]:
    """Return policies with `each` globs."""
    every = [
        allow_policy(ACCOUNT_RESOURCE + ACCOUNT, ALL_ACCESS, scripts=globs[at : at + each])
        for at in range(0, len(globs), each)
    ]
    return [
        Policy(
            effect="deny" if effect == "deny" else "allow",
            permission_groups=policy.permission_groups,
            resources=policy.resources,
        )
        for policy in every
    ]


SHAPES: dict[str, Callable[[int], str]] = {
    "names": lambda number: f"script-{number}",
    "beginnings": lambda number: f"script-{number}-*",
    "beginnings of each other": lambda number: "a" * number + "*",
    "patterns": lambda number: f"*a{number:b}?[a-c]*",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_many_globs_take_hardly_more_work(shape: str) -> None:
    """With sixteen times as many globs of any shape, a new name takes hardly more work."""
    few, many = (Grants(policies_of(*map(SHAPES[shape], range(1, count)))) for count in (17, 257))
    for name in ("a" * 255, "script-7-x", "n/" + "a1b" * 80):
        asked = Resource(ACCOUNT, name)
        least, most = (calls_of(partial(grants.allow, Action.READ_SECRETS, asked)) for grants in (few, many))
        assert most <= 2 * least + 20


@pytest.mark.parametrize("effect", ["allow", "deny"])
@pytest.mark.parametrize("theirs", SHAPES)
@pytest.mark.parametrize("mine", SHAPES)
def test_delegation_work_is_not_quadratic(mine: str, theirs: str, effect: str) -> None:
    """A delegation check takes a few calls for each character of both sides, not for each pair."""
    whole = [allow_policy(ACCOUNT_RESOURCE + ACCOUNT, ALL_ACCESS)] if effect == "deny" else []
    ours, others = ([*map(SHAPES[shape], range(1, _MANY))] for shape in (mine, theirs))
    giver, given = Grants(whole + policies_of(*ours, effect=effect)), Grants(policies_of(*others))

    assert calls_of(partial(covers, giver, given)) <= 8 * sum(map(len, ours + others)) + 3000


def test_many_ranges_take_few_comparisons() -> None:
    """With the maximum number of ranges, a new address takes only a few comparisons."""
    ranges = tuple(f"10.{number}.0.0/24" for number in range(256))
    networks = Networks(Condition(RequestIp(ranges, tuple(f"10.{number}.0.8/32" for number in range(256)))))

    assert calls_of(partial(networks.admit, "10.7.0.9")) < 60
    assert networks.admit("10.7.0.9")
    assert not networks.admit("10.7.0.8")


def test_a_token_is_compiled_once() -> None:
    """A token is compiled again only when its policies, its condition or its owner changes."""
    known = CompiledTokens()
    token = Token(
        id="t", digest=b"d", user_id="u", name="n", status="active", policies=encode_policies(policies_of("a")),
        issued_on=0, modified_on=0,
    )  # fmt: skip
    first = known.of(token)

    assert known.of(token) is first
    assert known.of(replace(token, digest=b"e", name="m", modified_on=1, expires_on=1)) is first
    for changed in (
        replace(token, policies=b"[]"),
        replace(token, condition=b'{"request_ip":{"in":["10.0.0.0/8"]}}'),
        replace(token, account_id="b" * 32),
    ):
        assert known.of(changed) is not first


@pytest.mark.parametrize(("policies", "words"), [
    (policies_of(*[f"s{number}" for number in range(MAX_RESOURCES + 1)], each=300), f"{MAX_RESOURCES + 1} resources"),
    (policies_of(*["same"] * (MAX_RESOURCES + 1), each=1)[: MAX_POLICIES + 1], f"{MAX_POLICIES + 1} policies"),
    (policies_of(*[f"{number}*x" for number in range(MAX_PATTERNS + 1)]), f"{MAX_PATTERNS + 1} different globs"),
    (policies_of("*" + "x" * MAX_PATTERN_CHARACTERS), f"{MAX_PATTERN_CHARACTERS + 1} characters in globs"),
    (policies_of(*[f"{number:0200}" for number in range(MAX_CHARACTERS // 200 + 1)]), "characters in the names"),
])  # fmt: skip
def test_the_size_of_all_policies_is_limited(policies: list[Policy], words: str) -> None:
    """The size of all policies together is limited; the refusal states the size and the limit."""
    with pytest.raises(NightsafeError) as refused:
        check_policies(policies)

    [problem] = refused.value.problems
    assert (Code.INVALID, "/policies") == (problem.code, problem.pointer)
    assert words in problem.detail
    assert "the limit is" in problem.detail
