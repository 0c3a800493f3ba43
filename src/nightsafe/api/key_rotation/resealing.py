"""Serves `…/nightsafe/keys` and `…/nightsafe/resealing`: the rotation of keys, for operators and delivery processes.

A caller with the permission fetches records and returns the resealed values, each for the same place. The API cannot
check that the content is the same: SECURITY.md describes the consequence.
"""

from typing import Any, Final, TypeVar

import msgspec

from nightsafe.api.http.envelope import Reply, success
from nightsafe.api.http.paging import fields_of
from nightsafe.api.http.path import ACCOUNT
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.bundle.resealing import NewValues
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.permissions import Action
from nightsafe.services.key_rotation.resealing import MAX_VALUES
from nightsafe.services.services import Services

T = TypeVar("T")

_AT: Final = f"{ACCOUNT}/nightsafe"


def resources(services: Services) -> list[Resource]:
    """Return the routes of this module with their handlers."""

    async def get_keys(call: Call) -> Reply:
        """GET …/nightsafe/keys."""
        return success({"keys": await services.resealing.keys(call.account_id)})

    async def get_old_values(call: Call) -> Reply:
        """GET …/nightsafe/resealing."""
        fields = fields_of(call.query)
        return success(await services.resealing.old_values(call.account_id, fields.get("after", "")))

    async def post_new_values(call: Call) -> Reply:
        """POST …/nightsafe/resealing."""
        values = _parse_body(await call.json(), NewValues).values
        if len(values) > MAX_VALUES:
            raise NightsafeError(Code.INVALID, f"send at most {MAX_VALUES} values at once", "/values")
        return success(await services.resealing.store(call.caller, call.account_id, values))

    return [
        Resource("GET", f"{_AT}/keys", Action.READ_ACCOUNT, get_keys),
        Resource("GET", f"{_AT}/resealing", Action.RESEAL, get_old_values),
        Resource("POST", f"{_AT}/resealing", Action.RESEAL, post_new_values),
    ]


def _parse_body(raw: Any, kind: type[T]) -> T:
    """Convert a body to a struct. The refusal has a message of its own: the parser's could repeat the content."""
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError:
        raise NightsafeError(
            Code.INVALID, "'values' must be a list of objects with 'mark', 'before' and 'sealed'", "/values"
        ) from None
