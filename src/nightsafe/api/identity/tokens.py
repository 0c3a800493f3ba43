"""Serves `/user/tokens` and `/accounts/{account_id}/tokens`: the same routes for a user's and an account's tokens."""

from collections.abc import Iterable
from typing import Any

import msgspec

from nightsafe.api.http.envelope import Reply, success
from nightsafe.api.http.paging import fields_of, page_of, page_reply
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.api.http.times import format_time
from nightsafe.api.identity.token_fields import parse_token_request
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity import policy
from nightsafe.identity.permissions import PERMISSION_GROUPS, Action, PermissionGroup
from nightsafe.identity.policy import Policy, parse_policies
from nightsafe.services.caller import now
from nightsafe.services.identity.tokens import Tokens, status_of
from nightsafe.store.identities import Token
from nightsafe.store.turns import in_turns

_USER = "/client/v4/user/tokens"
_ACCOUNT = "/client/v4/accounts/{account_id}/tokens"
_VALID = {"code": 10000, "message": "This API Token is valid and active", "type": None}
_TURN = 4
"""The number of tokens shown in one turn. Each may have a thousand resources."""

_ACCOUNT_SCOPE = "com.cloudflare.api.account"


def resources(tokens: Tokens) -> list[Resource]:
    """Return the routes of this module with their handlers."""

    async def list_tokens(call: Call) -> Reply:
        """GET …/tokens."""
        fields = fields_of(call.query)
        owned = await tokens.list(_owner(call))
        if fields.get("direction") == "desc":
            owned = owned[::-1]
        page = page_of(fields)
        return page_reply([to_json(token) async for token in in_turns(page.of(owned), _TURN)], page, len(owned))

    async def create(call: Call) -> Reply:
        """POST …/tokens."""
        request = parse_token_request(await call.json(), account_id=call.account_id, expires_after=now())
        token, value = await tokens.create(call.caller, _owner(call), request)
        return success(to_json(token) | {"value": value})

    async def get(call: Call) -> Reply:
        """GET …/tokens/{token_id}."""
        return success(to_json(await tokens.get(_owner(call), call.names["token_id"])))

    async def update(call: Call) -> Reply:
        """PUT …/tokens/{token_id}."""
        request = parse_token_request(await call.json(), account_id=call.account_id)
        return success(to_json(await tokens.update(call.caller, _owner(call), call.names["token_id"], request)))

    async def roll(call: Call) -> Reply:
        """PUT …/tokens/{token_id}/value."""
        return success(await tokens.roll(call.caller, _owner(call), call.names["token_id"]))

    async def delete(call: Call) -> Reply:
        """DELETE …/tokens/{token_id}."""
        return success({"id": await tokens.delete(call.caller, _owner(call), call.names["token_id"])})

    return [
        route
        for base in (_USER, _ACCOUNT)
        for route in (
            Resource("GET", f"{base}/verify", None, _verify, unknown=Code.INVALID_API_TOKEN),
            Resource("GET", f"{base}/permission_groups", Action.READ_TOKENS, _list_groups),
            Resource("GET", base, Action.READ_TOKENS, list_tokens),
            Resource("POST", base, Action.WRITE_TOKENS, create),
            Resource("GET", f"{base}/{{token_id}}", Action.READ_TOKENS, get),
            Resource("PUT", f"{base}/{{token_id}}", Action.WRITE_TOKENS, update),
            Resource("DELETE", f"{base}/{{token_id}}", Action.WRITE_TOKENS, delete),
            Resource("PUT", f"{base}/{{token_id}}/value", Action.WRITE_TOKENS, roll),
        )
    ]


async def _verify(call: Call) -> Reply:
    """GET …/tokens/verify: checks that the request's token belongs to this user, or to this account."""
    principal = call.caller.principal
    kind = "account_token" if call.account_id else "token"
    if (principal.kind, principal.account_id) != (kind, call.account_id):
        raise NightsafeError(Code.INVALID_API_TOKEN, f"the credential is a {principal.kind}")
    result = {"id": principal.id, "status": "active"} | _validity(principal.not_before or None, principal.expires_on)
    envelope = {"result": result, "success": True, "errors": [], "messages": [_VALID]}
    return Reply(200, msgspec.json.encode(envelope) + b"\n")


async def _list_groups(call: Call) -> Reply:
    """GET …/tokens/permission_groups."""
    return success(list(_groups(fields_of(call.query), of_account=bool(call.account_id))))


def _owner(call: Call) -> policy.Resource:
    """Return the owner of the tokens on a path: the account in it, or the caller's user."""
    if call.account_id:
        return policy.Resource(account_id=call.account_id)
    return call.caller.principal.user()


def to_json(token: Token) -> dict[str, Any]:
    """Return a token as lists show it."""
    token_json = {
        "id": token.id,
        "name": token.name,
        "status": status_of(token, now()),
        "issued_on": format_time(token.issued_on),
        "modified_on": format_time(token.modified_on),
        **_validity(token.not_before, token.expires_on),
        "policies": [_policy_json(policy) for policy in parse_policies(token.policies)],
    }
    condition = msgspec.json.decode(token.condition)
    return token_json | ({"condition": condition} if condition else {})


def _validity(not_before: int | None, expires_on: int | None) -> dict[str, str]:
    """Return the start and the end of a token's validity, each only if it is set."""
    times = {"not_before": not_before, "expires_on": expires_on}
    return {name: format_time(at) for name, at in times.items() if at is not None}


def _policy_json(policy: Policy) -> dict[str, Any]:
    """Return a policy with the names of its groups."""
    groups = [
        {"id": group.id, "name": PERMISSION_GROUPS[group.id].name} if group.id in PERMISSION_GROUPS else group
        for group in policy.permission_groups
    ]
    return {"id": policy.id, "effect": policy.effect, "resources": policy.resources, "permission_groups": groups}


def _groups(fields: dict[str, str], *, of_account: bool) -> Iterable[dict[str, Any]]:
    """Yield the permission groups that a query asks for. An account's token cannot have groups that need a user."""
    for group in PERMISSION_GROUPS.values():
        if of_account and _ACCOUNT_SCOPE not in group.scopes:
            continue
        if fields.get("name", group.name) == group.name and fields.get("scope", group.scopes[0]) in group.scopes:
            yield _group_json(group)


def _group_json(group: PermissionGroup) -> dict[str, Any]:
    """Return a permission group as lists show it."""
    return {"id": group.id, "name": group.name, "scopes": group.scopes, "category": "developer_platform"}
