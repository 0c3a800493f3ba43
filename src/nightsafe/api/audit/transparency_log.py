"""Serves the transparency log as C2SP tlog-tiles: `nightsafe/log/checkpoint`, `…/tile/…` and `…/entries/…`.

Callers need Account Settings Read on an account for the checkpoint and the hashes, which tell nothing about entries.
A bundle of entries needs it on every account that has an entry in the bundle, and on all accounts if it has an entry
without one. Delivery processes get the checkpoint of their account's log with a proof from `…/nightsafe/log-proof`.
"""

from collections.abc import Callable
from typing import Final

from nightsafe.api.http.envelope import FIXED_HEADERS, Headers, Reply, success
from nightsafe.api.http.paging import fields_of
from nightsafe.api.http.path import ACCOUNT, BASE
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity import policy
from nightsafe.identity.permissions import Action
from nightsafe.merkle.tiles import parse_tile
from nightsafe.services.services import Services

_AT: Final = f"{BASE}/nightsafe/log"
_TEXT: Final[Headers] = ((b"content-type", b"text/plain; charset=utf-8"), *FIXED_HEADERS[1:])
_BINARY: Final[Headers] = ((b"content-type", b"application/octet-stream"), *FIXED_HEADERS[1:])
_MAX_DIGITS: Final = 18


def resources(services: Services) -> list[Resource]:
    """Return the routes of this module with their handlers."""

    async def get_checkpoint(call: Call) -> Reply:
        """GET nightsafe/log/checkpoint."""
        _check_may_read_any(call)
        return Reply(200, await services.transparency_log.checkpoint(), _TEXT)

    async def get_tile(call: Call) -> Reply:
        """GET nightsafe/log/tile/{level}/{number}, and tile/entries/{number}."""
        return await _tile(call, services, call.names["tile"])

    async def get_entries(call: Call) -> Reply:
        """GET nightsafe/log/entries/{number}, the same as tile/entries/{number}."""
        return await _tile(call, services, f"entries/{call.names['tile']}")

    async def get_proof(call: Call) -> Reply:
        """GET …/nightsafe/log-proof."""
        return success(await services.transparency_log.proof(_size(fields_of(call.query).get("from", "0"))))

    return [
        Resource("GET", f"{_AT}/checkpoint", None, get_checkpoint),
        Resource("GET", f"{_AT}/tile/{{tile:path}}", None, get_tile),
        Resource("GET", f"{_AT}/entries/{{tile:path}}", None, get_entries),
        Resource("GET", f"{ACCOUNT}/nightsafe/log-proof", Action.DELIVER, get_proof),
    ]


async def _tile(call: Call, services: Services, path: str) -> Reply:
    """Answer with a tile or a bundle of entries."""
    _check_may_read_any(call)
    tile = parse_tile(path)
    if tile is None:
        raise NightsafeError(Code.BAD_IDENTIFIER, "a tile with this path")
    return Reply(200, await services.transparency_log.tile(tile, _may_read(call)), _BINARY)


def _check_may_read_any(call: Call) -> None:
    """Refuse a caller that may read the audit log of no account."""
    if not any(map(_may_read(call), call.caller.principal.grants.accounts())):
        raise NightsafeError(Code.NOT_PERMITTED)


def _may_read(call: Call) -> Callable[[str], bool]:
    """Return a function that tells whether the caller may read an account's entries."""
    grants = call.caller.principal.grants
    return lambda account_id: grants.allow(Action.READ_AUDIT, policy.Resource(account_id))


def _size(text: str) -> int:
    """Return the size that the caller knows."""
    if not (text.isascii() and text.isdigit()) or len(text) > _MAX_DIGITS:
        raise NightsafeError(Code.MALFORMED_PARAMETER, "from")
    return int(text)
