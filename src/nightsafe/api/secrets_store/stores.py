"""Serves `/secrets_store`: the account's stores, and the secrets in them."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qs

from nightsafe.api.http.envelope import Reply, success
from nightsafe.api.http.paging import fields_of, page_of, page_reply
from nightsafe.api.http.path import ACCOUNT
from nightsafe.api.http.request import Call, read_loose_json
from nightsafe.api.http.routing import Resource
from nightsafe.api.scripts import views
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.permissions import Action
from nightsafe.services.secrets_store.fields import (
    parse_duplicate,
    parse_ids,
    parse_new_secrets,
    parse_secret_patch,
    parse_store_name,
)
from nightsafe.services.secrets_store.stores import Stores, metadata_of, name_of
from nightsafe.services.services import Services
from nightsafe.store.collections import Collection, Item

T = TypeVar("T")

_ROOT = f"{ACCOUNT}/secrets_store"
_STORES = f"{_ROOT}/stores"
_STORE = f"{_STORES}/{{store_id}}"
_SECRETS = f"{_STORE}/secrets"
_SECRET = f"{_SECRETS}/{{secret_id}}"
_STORE_ORDERS: dict[str, Callable[[Collection], Any]] = {
    "name": name_of,
    "created": lambda store: store.created_on,
    "modified": lambda store: store.modified_on,
}
_SECRET_ORDERS: dict[str, Callable[[Item], Any]] = {
    "name": lambda secret: secret.name,
    "comment": lambda secret: metadata_of(secret).comment,
    "created": lambda secret: secret.created_on,
    "modified": lambda secret: secret.modified_on,
    "status": lambda secret: secret.name,
}


def resources(services: Services) -> list[Resource]:
    """Return the routes of this module with their handlers."""
    stores = services.stores

    async def list_stores(call: Call) -> Reply:
        """GET /secrets_store/stores."""
        fields, items = fields_of(call.query), await stores.list(call.account_id)
        page = page_of(fields)
        return page_reply(
            [to_json(store) for store in page.of(_sorted(items, fields, _STORE_ORDERS))], page, len(items)
        )

    async def create(call: Call) -> Reply:
        """POST /secrets_store/stores."""
        name = parse_store_name(await read_loose_json(call))
        return success(to_json(await stores.create(call.caller, call.account_id, name)))

    async def get(call: Call) -> Reply:
        """GET …/{store_id}."""
        return success(to_json(await stores.get(call.account_id, call.names["store_id"])))

    async def delete(call: Call) -> Reply:
        """DELETE …/{store_id}."""
        force = call.has_parameter("force", "true")
        await stores.delete(call.caller, call.account_id, call.names["store_id"], force=force)
        return success(None)

    async def quota(call: Call) -> Reply:
        """GET /secrets_store/quota."""
        usage = await stores.usage(call.account_id)
        return success({"secrets": {"quota": call.limits.max_store_secrets, "usage": usage}})

    return [
        Resource("GET", f"{_ROOT}/quota", Action.READ_STORES, quota),
        Resource("GET", _STORES, Action.READ_STORES, list_stores),
        Resource("POST", _STORES, Action.WRITE_STORES, create),
        Resource("GET", _STORE, Action.READ_STORES, get),
        Resource("DELETE", _STORE, Action.WRITE_STORES, delete),
        *_secret_routes(stores),
        *_one_secret_routes(stores),
    ]


def _secret_routes(stores: Stores) -> list[Resource]:
    """Return the routes of all secrets of a store."""

    async def list_secrets(call: Call) -> Reply:
        """GET …/secrets."""
        fields, store_id = fields_of(call.query), call.names["store_id"]
        items = await stores.secrets(call.account_id, store_id)
        matching = [secret for secret in items if _matches(secret, fields.get("search", ""), _scopes(call.query))]
        page = page_of(fields)
        items = page.of(_sorted(matching, fields, _SECRET_ORDERS))
        return page_reply([_secret_json(secret, store_id) for secret in items], page, len(matching))

    async def create(call: Call) -> Reply:
        """POST …/secrets."""
        new_secrets, store_id = parse_new_secrets(await read_loose_json(call), call.limits), call.names["store_id"]
        created = await stores.create_secrets(call.caller, call.account_id, store_id, new_secrets)
        return success([_secret_json(secret, store_id) for secret in created])

    async def delete(call: Call) -> Reply:
        """DELETE …/secrets."""
        ids, store_id = parse_ids(await read_loose_json(call, empty=[]), call.limits), call.names["store_id"]
        deleted = await stores.delete_secrets(call.caller, call.account_id, store_id, ids)
        return success([_secret_json(secret, store_id, "deleted") for secret in deleted])

    return [
        Resource("GET", _SECRETS, Action.READ_STORES, list_secrets),
        Resource("POST", _SECRETS, Action.WRITE_STORES, create),
        Resource("DELETE", _SECRETS, Action.WRITE_STORES, delete),
    ]


def _one_secret_routes(stores: Stores) -> list[Resource]:
    """Return the routes of one secret of a store."""

    async def get(call: Call) -> Reply:
        """GET …/secrets/{secret_id}."""
        matching = await stores.secret(call.account_id, call.names["store_id"], call.names["secret_id"])
        return success(_secret_json(matching, call.names["store_id"]))

    async def edit(call: Call) -> Reply:
        """PATCH …/secrets/{secret_id}."""
        patch, store_id = parse_secret_patch(await read_loose_json(call), call.limits), call.names["store_id"]
        changed = await stores.edit_secret(call.caller, call.account_id, store_id, call.names["secret_id"], patch)
        return success(_secret_json(changed, store_id))

    async def delete(call: Call) -> Reply:
        """DELETE …/secrets/{secret_id}."""
        store_id = call.names["store_id"]
        deleted = await stores.delete_secrets(call.caller, call.account_id, store_id, [call.names["secret_id"]])
        return success(_secret_json(deleted[0], store_id, "deleted"))

    async def duplicate(call: Call) -> Reply:
        """POST …/secrets/{secret_id}/duplicate."""
        new_secrets, store_id = parse_duplicate(await read_loose_json(call)), call.names["store_id"]
        created = await stores.duplicate(call.caller, call.account_id, store_id, call.names["secret_id"], new_secrets)
        return success(_secret_json(created, store_id))

    return [
        Resource("GET", _SECRET, Action.READ_STORES, get),
        Resource("PATCH", _SECRET, Action.WRITE_STORES, edit),
        Resource("DELETE", _SECRET, Action.WRITE_STORES, delete),
        Resource("POST", f"{_SECRET}/duplicate", Action.WRITE_STORES, duplicate),
    ]


def to_json(store: Collection) -> dict[str, Any]:
    """Return a store as lists show it."""
    return {
        "id": store.name,
        "name": name_of(store),
        "account_id": store.account_id,
        "created": views.time(store.created_on),
        "modified": views.time(store.modified_on),
    }


def _secret_json(secret: Item, store_id: str, status: str = "active") -> dict[str, Any]:
    """Return a secret as lists show it: everything except its value."""
    note = metadata_of(secret)
    return {
        "id": secret.id,
        "name": secret.name,
        "store_id": store_id,
        "status": status,
        "scopes": note.scopes,
        "comment": note.comment,
        "created": views.time(secret.created_on),
        "modified": views.time(secret.modified_on),
    }


def _sorted(items: Sequence[T], fields: dict[str, str], orders: dict[str, Callable[[T], Any]]) -> Sequence[T]:
    """Sort a list in the order that a query asks for; by default, by name."""
    order, direction = fields.get("order", "name"), fields.get("direction", "asc")
    if order not in orders:
        raise NightsafeError(Code.INVALID, f"'order' must be one of {', '.join(orders)}")
    if direction not in {"asc", "desc"}:
        raise NightsafeError(Code.INVALID, "'direction' must be asc or desc")
    return sorted(items, key=orders[order], reverse=direction == "desc")


def _matches(secret: Item, search: str, scopes: set[str]) -> bool:
    """Tell whether a secret has a text in its name or comment (ignoring case), and all of these scopes."""
    note = metadata_of(secret)
    text = search.casefold()
    return (text in secret.name.casefold() or text in note.comment.casefold()) and scopes <= set(note.scopes)


def _scopes(query: bytes) -> set[str]:
    """Return the scopes in a query, which may be in one parameter or in several."""
    parameters = parse_qs(query.decode("latin-1"))
    return {
        scope
        for values in (parameters.get("scopes", ()), parameters.get("scopes[]", ()))
        for value in values
        for scope in value.split(",")
    }
