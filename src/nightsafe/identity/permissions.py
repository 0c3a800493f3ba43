"""The actions, and the permission groups: named sets of actions that policies allow or deny.

Groups that Cloudflare has carry the IDs that Cloudflare publishes. The IDs of Nightsafe's own groups are words in
hex.
"""

from enum import StrEnum

from msgspec import Struct


class Action(StrEnum):
    """An operation on a resource, as permissions name it."""

    READ_SCRIPTS = "scripts.read"
    WRITE_SCRIPTS = "scripts.write"
    READ_SECRETS = "secrets.read"
    WRITE_SECRETS = "secrets.write"
    DELIVER = "secrets.deliver"
    RESEAL = "secrets.reseal"
    APPROVE = "approvals.write"
    READ_PAGES = "pages.read"
    WRITE_PAGES = "pages.write"
    READ_STORES = "stores.read"
    WRITE_STORES = "stores.write"
    READ_ACCOUNT = "account.read"
    READ_AUDIT = "audit.read"
    READ_TOKENS = "tokens.read"
    WRITE_TOKENS = "tokens.write"
    READ_USER = "user.read"
    READ_MEMBERSHIPS = "memberships.read"


class PermissionGroup(Struct, frozen=True):
    """A named set of actions that a policy allows or denies as one.

    Attributes:
        id: 32 hex digits.
        name: the name in lists.
        actions: the actions in the group.
        scopes: the kinds of resource that the group is meant for.
    """

    id: str
    name: str
    actions: frozenset[Action]
    scopes: tuple[str, ...]


_ACCOUNT = ("com.cloudflare.api.account",)
_USER = ("com.cloudflare.api.user",)
_SCRIPT_ACTIONS = frozenset({Action.READ_SCRIPTS, Action.WRITE_SCRIPTS, Action.READ_SECRETS, Action.WRITE_SECRETS})
_TOKEN_ACTIONS = frozenset({Action.READ_TOKENS, Action.WRITE_TOKENS})
_ACCOUNT_SETTINGS_ACTIONS = frozenset({Action.READ_ACCOUNT, Action.READ_AUDIT})
"""The actions of both Account Settings groups: no call changes an account. Cloudflare lets both read audit logs."""

_DELIVERY_ACTIONS = frozenset({Action.DELIVER, Action.RESEAL})
"""The actions that only delivery processes perform."""

ALL_ACCESS = "6e696768747361666520616c6c20616c"
DELIVERY = "6e6967687473616665206465c16976e1"
APPROVAL = "6e696768747361666520617070726f76"
RESEALING = "6e69676874736166652072657365616c"
"""IDs of permission groups."""

PERMISSION_GROUPS = {
    group.id: group
    for group in (
        PermissionGroup("e086da7e2179491d91ee5f35b3ca210a", "Workers Scripts Write", _SCRIPT_ACTIONS, _ACCOUNT),
        PermissionGroup(
            "1a71c399035b4950a1bd1466bbe4f420",
            "Workers Scripts Read",
            frozenset({Action.READ_SCRIPTS, Action.READ_SECRETS}),
            _ACCOUNT,
        ),
        PermissionGroup(
            "05880cd1bdc24d8bae0be2136972816b", "Workers Tail Read", frozenset({Action.READ_SECRETS}), _ACCOUNT
        ),
        PermissionGroup("e247aedd66bd41cc9193af0213416666", "Pages Read", frozenset({Action.READ_PAGES}), _ACCOUNT),
        PermissionGroup(
            "8d28297797f24fb8a0c332fe0866ec89",
            "Pages Write",
            frozenset({Action.READ_PAGES, Action.WRITE_PAGES}),
            _ACCOUNT,
        ),
        PermissionGroup(
            "6e696768747361666573746f72657265", "Secrets Store Read", frozenset({Action.READ_STORES}), _ACCOUNT
        ),
        PermissionGroup(
            "6e696768747361666573746f72657772",
            "Secrets Store Write",
            frozenset({Action.READ_STORES, Action.WRITE_STORES}),
            _ACCOUNT,
        ),
        PermissionGroup(
            "c1fde68c7bcc44588cbb6ddbc16d6480", "Account Settings Read", _ACCOUNT_SETTINGS_ACTIONS, _ACCOUNT
        ),
        PermissionGroup(
            "1af1fa2adc104452b74a9a3364202f20", "Account Settings Write", _ACCOUNT_SETTINGS_ACTIONS, _ACCOUNT
        ),
        PermissionGroup(
            "0cc3a61731504c89b99ec1be78b77aa0", "API Tokens Read", frozenset({Action.READ_TOKENS}), _USER
        ),
        PermissionGroup("686d18d5ac6c441c867cbf6771e58a0a", "API Tokens Write", _TOKEN_ACTIONS, _USER),
        PermissionGroup("5bc3f8b21c554832afc660159ab75fa4", "Account API Tokens Write", _TOKEN_ACTIONS, _ACCOUNT),
        PermissionGroup(
            "8acbe5bb0d54464ab867149d7f7cf8ac", "User Details Read", frozenset({Action.READ_USER}), _USER
        ),
        PermissionGroup(
            "3518d0f75557482e952c6762d3e64903", "Memberships Read", frozenset({Action.READ_MEMBERSHIPS}), _USER
        ),
        PermissionGroup(
            "6e6967687473616665207365637265c1",
            "Nightsafe Secrets Write",
            frozenset({Action.READ_SECRETS, Action.WRITE_SECRETS}),
            _ACCOUNT,
        ),
        PermissionGroup(DELIVERY, "Nightsafe Delivery", frozenset({Action.DELIVER}), _ACCOUNT),
        PermissionGroup(RESEALING, "Nightsafe Resealing", frozenset({Action.RESEAL}), _ACCOUNT),
        PermissionGroup(APPROVAL, "Nightsafe Approval", frozenset({Action.READ_SCRIPTS, Action.APPROVE}), _ACCOUNT),
        PermissionGroup(ALL_ACCESS, "Nightsafe All Access", frozenset(Action) - _DELIVERY_ACTIONS, _ACCOUNT + _USER),
    )
}
"""All permission groups, by ID."""
