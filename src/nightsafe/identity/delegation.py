"""Whether one set of grants holds everything that another gives: nobody may hand on more than it has.

The answer is exact about accounts, users and actions. About globs it errs on the side of refusing, as `globs` says.
"""

from collections.abc import Iterable

from nightsafe.identity import globs
from nightsafe.identity.grants import Rule
from nightsafe.identity.permissions import Action
from nightsafe.identity.policy import EVERY


def holds(giver: Iterable[Rule], given: Iterable[Rule]) -> bool:
    """Whether whatever `given` allows is allowed to `giver` too.

    Args:
        giver: what the one who gives may do.
        given: what is to be given.
    """
    giver, given = tuple(giver), tuple(given)
    denied = [rule for rule in given if not rule.allows]
    return all(_holds_one(giver, denied, rule, action) for rule in given if rule.allows for action in rule.actions)


def _holds_one(giver: Iterable[Rule], denied: Iterable[Rule], wanted: Rule, action: Action) -> bool:
    """Whether one action of one rule is allowed, and what the giver is denied of it is denied again."""
    speaking = [rule for rule in giver if action in rule.actions]
    if not any(rule.allows and _contains(rule, wanted) for rule in speaking):
        return False
    again = [rule for rule in denied if action in rule.actions]
    return all(
        rule.allows or _apart(rule, wanted) or any(_contains(one, rule) or _contains(one, wanted) for one in again)
        for rule in speaking
    )


def _contains(outer: Rule, inner: Rule) -> bool:
    """Whether every resource of `inner` is one of `outer`."""
    if outer.user_id or inner.user_id:
        return outer.user_id == inner.user_id
    if outer.account_id not in {inner.account_id, EVERY}:
        return False
    return not outer.scripts or globs.contains(outer.scripts, inner.scripts)


def _apart(one: Rule, other: Rule) -> bool:
    """Whether no resource is in both."""
    if one.user_id or other.user_id:
        return one.user_id != other.user_id
    if one.account_id != other.account_id and EVERY not in {one.account_id, other.account_id}:
        return True
    return bool(one.scripts and other.scripts) and globs.apart(one.scripts, other.scripts)
