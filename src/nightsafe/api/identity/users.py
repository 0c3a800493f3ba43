"""Serves `/user` and `/memberships`."""

import hashlib
from typing import Any

from nightsafe.api.http.envelope import Reply, success
from nightsafe.api.http.paging import fields_of
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.api.http.times import format_time
from nightsafe.api.identity.accounts import directed_page, is_named, to_json
from nightsafe.errors import Code
from nightsafe.identity.permissions import PERMISSION_GROUPS, Action
from nightsafe.identity.policy import parse_policies
from nightsafe.services.identity.users import Users
from nightsafe.store.identities import Account, Membership

_ACCEPTED = "accepted"


def resources(users: Users) -> list[Resource]:
    """Return the routes of this module with their handlers."""

    async def user(call: Call) -> Reply:
        """GET /user."""
        found = await users.user(call.caller.principal)
        return success(
            {
                "id": found.id,
                "email": found.email,
                "first_name": None,
                "last_name": None,
                "two_factor_authentication_enabled": False,
                "suspended": False,
                "created_on": format_time(found.created_on),
            }
        )

    async def memberships(call: Call) -> Reply:
        """GET /memberships."""
        fields = fields_of(call.query)
        name = fields.get("account.name", fields.get("name"))
        matching = [pair for pair in await users.memberships(call.caller.principal) if is_named(pair[1], name)]
        if fields.get("status", _ACCEPTED) != _ACCEPTED:
            matching = []
        return directed_page(matching, fields, lambda pair: _membership(*pair))

    return [
        Resource("GET", "/client/v4/user", Action.READ_USER, user),
        Resource("GET", "/client/v4/memberships", None, memberships, unknown=Code.AUTHENTICATION_FAILED),
    ]


def _membership(membership: Membership, account: Account) -> dict[str, Any]:
    """Return a membership as lists show it.

    Its id is a hash of the two ids that it connects. Its roles are the names of its permission groups.
    """
    sides = f"{membership.account_id} {membership.user_id}".encode()
    groups = [
        group.id
        for policy in parse_policies(membership.policies)
        if policy.effect == "allow"
        for group in policy.permission_groups
    ]
    return {
        "id": hashlib.sha256(sides).hexdigest()[:32],
        "account": to_json(account),
        "roles": [PERMISSION_GROUPS[group].name for group in dict.fromkeys(groups) if group in PERMISSION_GROUPS],
        "status": _ACCEPTED,
        "permissions": {},
    }
