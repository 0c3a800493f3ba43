"""Whether what one credential may do holds everything that another may: nobody may hand on more than they have.

The answer is exact about accounts, users and actions. About globs it errs on the side of refusing, as `globs` says.
It takes as long as the two are large together, and not one times the other.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from nightsafe.identity.conditions import Networks
from nightsafe.identity.grants import Grants, Rule
from nightsafe.identity.permissions import Action

_Masks = tuple[int, int, int]
"""For one action: the giver's rules that allow it; those that deny it, and are not denied again; and those given that
deny it."""


class Reach(Struct, frozen=True):
    """All that a credential gives.

    That it cannot be used before some time is none of it: whoever holds a credential now is past that, and no time
    comes again.

    Attributes:
        grants: what may be done with it.
        networks: from where, or None for anywhere.
        expires_on: until when, in microseconds, or None for ever.
    """

    grants: Grants
    networks: Networks | None = None
    expires_on: int | None = None


def excess_over(giver: Reach, given: Reach) -> tuple[str, str] | None:
    """What of one reach is not within another: a sentence and a JSON Pointer into a token's body; None for nothing.

    Args:
        giver: what the one who gives has.
        given: what is to be given.
    """
    if giver.expires_on is not None and (given.expires_on is None or given.expires_on > giver.expires_on):
        until = dt.datetime.fromtimestamp(giver.expires_on / 1e6, dt.UTC).isoformat(timespec="seconds")
        return (
            f"a token may not outlive the one that makes it: give 'expires_on', at the latest {until}",
            "/expires_on",
        )
    if giver.networks is not None and (given.networks is None or not given.networks.within(giver.networks)):
        sentence = "a token may be used only from where its maker may: give a 'condition' within that of your token"
        return sentence, "/condition"
    if not holds(giver.grants, given.grants):
        return "a token may do nothing that its maker may not", "/policies"
    return None


def holds(giver: Grants, given: Grants) -> bool:
    """Whether whatever `given` allows is allowed to `giver` too.

    Args:
        giver: what the one who gives may do.
        given: what is to be given.
    """
    masks = _masks(giver, given)
    whole = {actions: _all_at_once(giver, actions) for actions in masks}
    return all(
        whole[rule.actions] & giver.containing(rule) or _holds_one(giver, given, rule, masks[rule.actions])
        for rule in given.rules
        if rule.allows
    )


def _all_at_once(giver: Grants, actions: Iterable[Action]) -> int:
    """The giver's rules that allow all of some actions, where nothing is denied that could stand against them."""
    rules = 0 if giver.denying else giver.allowing
    for action in actions:
        rules &= giver.acting[action]
    return rules


def _masks(giver: Grants, given: Grants) -> Mapping[frozenset[Action], Sequence[_Masks]]:
    """What the rules that are given are held against, by their actions."""
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
    """By action, the giver's denials that hold for what is given anyway: all of each is denied there."""
    again: dict[Action, int] = dict.fromkeys(Action, 0)
    denials = given.denying and [(place, rule) for place, rule in enumerate(giver.rules) if not rule.allows]
    for place, rule in denials or ():
        denied = given.containing(rule) & given.denying
        for action in rule.actions:
            if denied & given.acting[action]:
                again[action] |= 1 << place
    return again


def _holds_one(giver: Grants, given: Grants, wanted: Rule, masks: Iterable[_Masks]) -> bool:
    """Whether all of a rule is allowed to the giver, and what the giver is denied of it is denied again."""
    containing = giver.containing(wanted)
    touching = giver.touching(wanted) if giver.denying else 0
    void = given.containing(wanted) if touching and given.denying else 0
    return all(
        containing & allowing and (not touching & denying or void & denied) for allowing, denying, denied in masks
    )
