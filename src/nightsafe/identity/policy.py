"""Policies: which actions a credential may do on which account. Deny wins; the default is deny.

The shape is the Cloudflare v4 API's: an effect, permission groups by id, resources by name.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Literal

import msgspec
from msgspec import Struct

ACCOUNT_RESOURCE = "com.cloudflare.api.account."


class Action(StrEnum):
    """Something that is done to an account's scripts."""

    READ_SCRIPTS = "scripts.read"
    WRITE_SCRIPTS = "scripts.write"
    READ_SECRETS = "secrets.read"
    WRITE_SECRETS = "secrets.write"


class PermissionGroup(Struct, frozen=True):
    """A named set of actions that a policy allows or denies as one."""

    id: str
    name: str
    actions: frozenset[Action]


PERMISSION_GROUPS = {
    group.id: group
    for group in (
        PermissionGroup("e086da7e2179491d91ee5f35b3ca210a", "Workers Scripts Write", frozenset(Action)),
        PermissionGroup(
            "1a71c399035b4950a1bd1466bbe4f420",
            "Workers Scripts Read",
            frozenset({Action.READ_SCRIPTS, Action.READ_SECRETS}),
        ),
        PermissionGroup("05880cd1bdc24d8bae0be2136972816b", "Workers Tail Read", frozenset({Action.READ_SECRETS})),
        PermissionGroup("6e696768747361666520616c6c20616c", "Nightsafe All Access", frozenset(Action)),
    )
}
"""By id. The first three ids are those that Cloudflare publishes."""

ALL_ACCESS = "6e696768747361666520616c6c20616c"


class GroupRef(Struct, frozen=True):
    """A permission group as a policy names it."""

    id: str


class Policy(Struct, frozen=True):
    """One statement: these groups' actions are allowed, or denied, on these resources."""

    effect: Literal["allow", "deny"]
    permission_groups: tuple[GroupRef, ...]
    resources: dict[str, str]

    def actions(self) -> frozenset[Action]:
        """Every action of its groups; a group that is not known gives none."""
        known = (PERMISSION_GROUPS.get(group.id) for group in self.permission_groups)
        return frozenset(action for group in known if group for action in group.actions)

    def accounts(self) -> set[str]:
        """Ids of the accounts that it speaks of."""
        return {
            name.removeprefix(ACCOUNT_RESOURCE)
            for name, scope in self.resources.items()
            if name.startswith(ACCOUNT_RESOURCE) and scope == "*"
        }


Grants = dict[str, frozenset[Action]]
"""What is allowed, by account id."""


def policies_for(account_id: str, *groups: str) -> bytes:
    """The JSON of one policy that allows the groups on one account."""
    refs = tuple(GroupRef(group) for group in groups)
    return msgspec.json.encode([Policy("allow", refs, {ACCOUNT_RESOURCE + account_id: "*"})])


def grants_of(policies: bytes) -> Grants:
    """What a credential's stored policies come to."""
    return combine(msgspec.json.decode(policies, type=tuple[Policy, ...]))


def combine(policies: Iterable[Policy]) -> Grants:
    """All that is allowed and nowhere denied, by account."""
    allowed: dict[str, set[Action]] = {}
    denied: dict[str, set[Action]] = {}
    for policy in policies:
        side = allowed if policy.effect == "allow" else denied
        for account_id in policy.accounts():
            side.setdefault(account_id, set()).update(policy.actions())
    return {account_id: frozenset(actions - denied.get(account_id, set())) for account_id, actions in allowed.items()}
