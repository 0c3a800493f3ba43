"""Checks that a credential grants at most what its giver has.

The answer is exact for accounts, users and actions. For globs it errs on the side of refusing; see `globs`.
The time grows with the sum of the sizes of the two credentials, not with their product.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from nightsafe.identity.conditions import Networks
from nightsafe.identity.grants import Grants, Rule
from nightsafe.identity.permissions import Action

_Masks = tuple[int, int, int]
"""For one action, three sets of rules: the giver's rules that allow it; the giver's rules that deny it and that the
given credential does not repeat; and the given rules that deny it."""


class Reach(Struct, frozen=True):
    """Everything that a credential grants.

    `not_before` is left out: a giver who can use a credential is past its `not_before`, so it no longer limits
    anything.

    Attributes:
        grants: the permissions.
        networks: the addresses that it may be used from, or None for every address.
        expires_on: the expiry, in microseconds, or None for no expiry.
    """

    grants: Grants
    networks: Networks | None = None
    expires_on: int | None = None


def excess_over(giver: Reach, grantee: Reach) -> tuple[str, str] | None:
    """Return how one reach exceeds another, or None if it does not.

    Args:
        giver: the reach of the credential that grants.
        grantee: the reach to grant.

    Returns:
        A sentence, and a JSON Pointer into a token's body.
    """
    if giver.expires_on is not None and (grantee.expires_on is None or grantee.expires_on > giver.expires_on):
        until = dt.datetime.fromtimestamp(giver.expires_on / 1e6, dt.UTC).isoformat(timespec="seconds")
        return (
            f"a token must not expire later than the token that creates it: set 'expires_on' to at most {until}",
            "/expires_on",
        )
    if giver.networks is not None and (grantee.networks is None or not grantee.networks.is_subset_of(giver.networks)):
        sentence = (
            "you cannot grant a token addresses that your own token may not be used from: "
            "set a 'condition' within your token's condition"
        )
        return sentence, "/condition"
    if not covers(giver.grants, grantee.grants):
        return "you cannot grant a token permissions that you do not have", "/policies"
    return None


def covers(giver: Grants, grantee: Grants) -> bool:
    """Return whether `giver` allows everything that `grantee` allows.

    Args:
        giver: the grants of the credential that grants.
        grantee: the grants to grant.
    """
    masks = _masks(giver, grantee)
    allowing_all = {actions: _rules_allowing_all(giver, actions) for actions in masks}
    return all(
        allowing_all[rule.actions] & giver.rules_covering(rule)
        or _covers_rule(giver, grantee, rule, masks[rule.actions])
        for rule in grantee.rules
        if rule.allows
    )


def _rules_allowing_all(giver: Grants, actions: Iterable[Action]) -> int:
    """Return the giver's rules that allow all of some actions; 0 if the giver has any rule that denies."""
    rules = 0 if giver.deny_rules else giver.allow_rules
    for action in actions:
        rules &= giver.rules_by_action[action]
    return rules


def _masks(giver: Grants, grantee: Grants) -> Mapping[frozenset[Action], Sequence[_Masks]]:
    """Return, for each set of actions in the given rules, the masks to compare those rules with."""
    repeated = _repeated_denials(giver, grantee)
    by_action = {
        action: (
            giver.rules_by_action[action] & giver.allow_rules,
            giver.rules_by_action[action] & giver.deny_rules & ~repeated[action],
            grantee.rules_by_action[action] & grantee.deny_rules,
        )
        for action in Action
    }
    return {
        actions: [by_action[action] for action in actions]
        for actions in {rule.actions for rule in grantee.rules if rule.allows}
    }


def _repeated_denials(giver: Grants, grantee: Grants) -> Mapping[Action, int]:
    """Return, by action, the giver's denials that the given grants repeat in full."""
    repeated: dict[Action, int] = dict.fromkeys(Action, 0)
    denials = grantee.deny_rules and [(index, rule) for index, rule in enumerate(giver.rules) if not rule.allows]
    for index, rule in denials or ():
        denied = grantee.rules_covering(rule) & grantee.deny_rules
        for action in rule.actions:
            if denied & grantee.rules_by_action[action]:
                repeated[action] |= 1 << index
    return repeated


def _covers_rule(giver: Grants, grantee: Grants, rule: Rule, masks: Iterable[_Masks]) -> bool:
    """Return whether the giver allows all of a rule, and every denial that touches the rule is repeated."""
    containing = giver.rules_covering(rule)
    touching = giver.rules_overlapping(rule) if giver.deny_rules else 0
    covering_grantee = grantee.rules_covering(rule) if touching and grantee.deny_rules else 0
    return all(
        containing & allowing and (not touching & denying or covering_grantee & denied)
        for allowing, denying, denied in masks
    )
