"""Serves `/user`, `/accounts`, `/accounts/{account_id}` and `/memberships`."""

import hashlib
from collections.abc import Callable
from typing import Any, TypeVar

from nightsafe.api.http.envelope import Reply, success
from nightsafe.api.http.paging import fields_of, page_of, page_reply
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.api.http.times import format_time
from nightsafe.errors import Code
from nightsafe.identity.permissions import PERMISSION_GROUPS, Action
from nightsafe.identity.policy import parse_policies
from nightsafe.services.identity.users import Users
from nightsafe.store.identities import Account, Membership

T = TypeVar("T")

_MAX_PER_PAGE = 50
_ACCEPTED = "accepted"


def resources(users: Users) -> list[Resource]:
    """Return the routes of this page with their handlers."""

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

    async def accounts(call: Call) -> Reply:
        """GET /accounts."""
        fields = fields_of(call.query)
        principal = call.caller.principal
        matching = [account for account in await users.accounts(principal) if _is_named(account, fields.get("name"))]
        return _page_reply(matching, fields, _account)

    async def account(call: Call) -> Reply:
        """GET /accounts/{account_id}."""
        return success(_account(await users.account(call.account_id)))

    async def memberships(call: Call) -> Reply:
        """GET /memberships."""
        fields = fields_of(call.query)
        name = fields.get("account.name", fields.get("name"))
        matching = [pair for pair in await users.memberships(call.caller.principal) if _is_named(pair[1], name)]
        if fields.get("status", _ACCEPTED) != _ACCEPTED:
            matching = []
        return _page_reply(matching, fields, lambda pair: _membership(*pair))

    return [
        Resource("GET", "/client/v4/user", Action.READ_USER, user),
        Resource("GET", "/client/v4/accounts", None, accounts),
        Resource("GET", "/client/v4/accounts/{account_id}", Action.READ_ACCOUNT, account),
        Resource("GET", "/client/v4/memberships", None, memberships, unknown=Code.AUTHENTICATION_FAILED),
    ]


def _page_reply(items: list[T], fields: dict[str, str], to_json: Callable[[T], dict[str, Any]]) -> Reply:
    """Return the page of a list that a query asks for, in its direction."""
    if fields.get("direction") == "desc":
        items.reverse()
    page = page_of(fields, _MAX_PER_PAGE)
    return page_reply([to_json(item) for item in page.of(items)], page, len(items))


def _is_named(account: Account, name: str | None) -> bool:
    """Tell whether an account has the requested name, if one is requested."""
    return name is None or account.name == name


def _account(account: Account) -> dict[str, Any]:
    """Return an account as lists show it."""
    return {
        "id": account.id,
        "name": account.name,
        "type": "standard",
        "settings": {"enforce_twofactor": False},
        "created_on": format_time(account.created_on),
    }


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
        "account": _account(account),
        "roles": [PERMISSION_GROUPS[group].name for group in dict.fromkeys(groups) if group in PERMISSION_GROUPS],
        "status": _ACCEPTED,
        "permissions": {},
    }
