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


def excess_over(giver: Reach, given: Reach) -> tuple[str, str] | None:
    """Return how one reach exceeds another, or None if it does not.

    Args:
        giver: the reach of the credential that grants.
        given: the reach to grant.

    Returns:
        A sentence, and a JSON Pointer into a token's body.
    """
    if giver.expires_on is not None and (given.expires_on is None or given.expires_on > giver.expires_on):
        until = dt.datetime.fromtimestamp(giver.expires_on / 1e6, dt.UTC).isoformat(timespec="seconds")
        return (
            f"a token must not expire later than the token that creates it: set 'expires_on' to at most {until}",
            "/expires_on",
        )
    if giver.networks is not None and (given.networks is None or not given.networks.within(giver.networks)):
        sentence = (
            "you cannot grant a token addresses that your own token may not be used from: "
            "set a 'condition' within your token's condition"
        )
        return sentence, "/condition"
    if not holds(giver.grants, given.grants):
        return "you cannot grant a token permissions that you do not have", "/policies"
    return None


def holds(giver: Grants, given: Grants) -> bool:
    """Return whether `giver` allows everything that `given` allows.

    Args:
        giver: the grants of the credential that grants.
        given: the grants to grant.
    """
    masks = _masks(giver, given)
    whole = {actions: _all_at_once(giver, actions) for actions in masks}
    return all(
        whole[rule.actions] & giver.containing(rule) or _holds_one(giver, given, rule, masks[rule.actions])
        for rule in given.rules
        if rule.allows
    )


def _all_at_once(giver: Grants, actions: Iterable[Action]) -> int:
    """Return the giver's rules that allow all of some actions; 0 if the giver has any rule that denies."""
    rules = 0 if giver.denying else giver.allowing
    for action in actions:
        rules &= giver.acting[action]
    return rules


def _masks(giver: Grants, given: Grants) -> Mapping[frozenset[Action], Sequence[_Masks]]:
    """Return, for each set of actions in the given rules, the masks to compare those rules with."""
    again = _denied_again(giver, given)
    by_action = {
        action: (
            giver.acting[action] & giver.allowing,
            giver.acting[action] & giver.denying & ~again[action],
            given.acting[action] & given.denying,
        )
        for action in Action
    }
    return {
        actions: [by_action[action] for action in actions]
        for actions in {rule.actions for rule in given.rules if rule.allows}
    }


def _denied_again(giver: Grants, given: Grants) -> Mapping[Action, int]:
    """Return, by action, the giver's denials that the given grants repeat in full."""
    again: dict[Action, int] = dict.fromkeys(Action, 0)
    denials = given.denying and [(place, rule) for place, rule in enumerate(giver.rules) if not rule.allows]
    for place, rule in denials or ():
        denied = given.containing(rule) & given.denying
        for action in rule.actions:
            if denied & given.acting[action]:
                again[action] |= 1 << place
    return again


def _holds_one(giver: Grants, given: Grants, wanted: Rule, masks: Iterable[_Masks]) -> bool:
    """Return whether the giver allows all of a rule, and every denial that touches the rule is repeated."""
    containing = giver.containing(wanted)
    touching = giver.touching(wanted) if giver.denying else 0
    void = given.containing(wanted) if touching and given.denying else 0
    return all(
        containing & allowing and (not touching & denying or void & denied) for allowing, denying, denied in masks
    )
