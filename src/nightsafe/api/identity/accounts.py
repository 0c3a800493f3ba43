"""Serves `/accounts` and `/accounts/{account_id}`."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from nightsafe.api.http.envelope import Reply, success
from nightsafe.api.http.paging import fields_of, page_of, page_reply
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.api.http.times import format_time
from nightsafe.identity.permissions import Action
from nightsafe.services.identity.accounts import Accounts
from nightsafe.store.identities import Account

T = TypeVar("T")

_MAX_PER_PAGE: Final = 50


def resources(accounts: Accounts) -> list[Resource]:
    """Return the routes of this module with their handlers."""

    async def list_accounts(call: Call) -> Reply:
        """GET /accounts."""
        fields = fields_of(call.query)
        principal = call.caller.principal
        matching = [account for account in await accounts.list(principal) if is_named(account, fields.get("name"))]
        return directed_page(matching, fields, to_json)

    async def get(call: Call) -> Reply:
        """GET /accounts/{account_id}."""
        return success(to_json(await accounts.get(call.account_id)))

    return [
        Resource("GET", "/client/v4/accounts", None, list_accounts),
        Resource("GET", "/client/v4/accounts/{account_id}", Action.READ_ACCOUNT, get),
    ]


def directed_page(items: list[T], fields: dict[str, str], to_json: Callable[[T], dict[str, Any]]) -> Reply:
    """Return the page of a list that a query asks for, in its direction."""
    if fields.get("direction") == "desc":
        items.reverse()
    page = page_of(fields, _MAX_PER_PAGE)
    return page_reply([to_json(item) for item in page.of(items)], page, len(items))


def is_named(account: Account, name: str | None) -> bool:
    """Tell whether an account has the requested name, if one is requested."""
    return name is None or account.name == name


def to_json(account: Account) -> dict[str, Any]:
    """Return an account as lists show it."""
    return {
        "id": account.id,
        "name": account.name,
        "type": "standard",
        "settings": {"enforce_twofactor": False},
        "created_on": format_time(account.created_on),
    }
