"""Serves `…/nightsafe/changes`: delivery processes wait here for changes of scripts.

The route needs the permission to deliver, like `bundles`.
"""

import asyncio
import re
from collections.abc import Coroutine
from typing import Final, TypeVar

import msgspec

from nightsafe.api.http.body import read
from nightsafe.api.http.envelope import Reply, success
from nightsafe.api.http.paging import fields_of
from nightsafe.api.http.path import ACCOUNT
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity import policy
from nightsafe.identity.permissions import Action
from nightsafe.services.delivery.bundles import BundleChanges, Cursor
from nightsafe.services.delivery.change_feed import LONGEST_WAIT
from nightsafe.services.services import Services

T = TypeVar("T")

_DISCONNECTED: Final = "the client closed the connection"
_CURSOR: Final = re.compile(r"(0|[1-9][0-9]{0,17})-([0-9a-f]{0,16})")
_SECONDS: Final = re.compile(r"[0-9]{1,2}")
_PROCESS: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def resources(services: Services) -> list[Resource]:
    """Return the route of this module."""

    async def get_changes(call: Call) -> Reply:
        """GET …/nightsafe/changes."""
        return success(to_json(await _wait_for_changes(call, services)))

    return [Resource("GET", f"{ACCOUNT}/nightsafe/changes", Action.DELIVER, get_changes, polled=True)]


async def _wait_for_changes(call: Call, services: Services) -> BundleChanges:
    """Wait for changes for as long as the client stays connected.

    Raises:
        NightsafeError: MALFORMED_PARAMETER; BODY_TOO_LARGE for any body.
    """
    fields = fields_of(call.query)
    after, seconds = _cursor(fields.get("after", "")), _seconds(fields.get("wait"))
    process_id = (call.caller.principal.id, _process(fields.get("process")))
    may_reseal = call.caller.principal.grants.allow(Action.RESEAL, policy.Resource(call.account_id))
    services.processes.record_request(call.account_id, process_id, reseals=may_reseal)
    changes = await result_unless_disconnected(
        call, services.change_feed.follow(call.account_id, process_id, after, seconds)
    )
    if changes is None:
        services.change_feed.leave(call.account_id, process_id)
        raise NightsafeError(Code.BODY_UNREADABLE, _DISCONNECTED)
    return changes


async def result_unless_disconnected(call: Call, work: Coroutine[None, None, T]) -> T | None:
    """Return the result of a long task, or None when the client closes the connection first.

    Raises:
        NightsafeError: BODY_TOO_LARGE for any body.
    """
    await read(call.receive, 0, call.limits.body_seconds)  # to the end: only a disconnect can follow
    answer = asyncio.ensure_future(work)
    disconnected = asyncio.ensure_future(_wait_for_disconnect(call))
    try:
        await asyncio.wait({answer, disconnected}, return_when=asyncio.FIRST_COMPLETED)
        return answer.result() if answer.done() else None
    finally:
        answer.cancel()
        disconnected.cancel()


async def _wait_for_disconnect(call: Call) -> None:
    """Return when the client has closed the connection."""
    await call.receive()


def _cursor(text: str) -> Cursor | None:
    """Return the caller's position in the feed; None for the beginning."""
    if not text:
        return None
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise NightsafeError(Code.MALFORMED_PARAMETER, "after")
    return Cursor(int(match[1]), match[2])


def _seconds(text: str | None) -> float:
    """Return the seconds to wait."""
    if text is None:
        return LONGEST_WAIT
    if not _SECONDS.fullmatch(text):
        raise NightsafeError(Code.MALFORMED_PARAMETER, "wait")
    return float(text)


def _process(text: str | None) -> str:
    """Return the name that the process gave itself. It distinguishes two processes with the same token."""
    if text is not None and not _PROCESS.fullmatch(text):
        raise NightsafeError(Code.MALFORMED_PARAMETER, "process")
    return text or ""


def to_json(changes: BundleChanges) -> dict[str, object]:
    """Return changes as JSON."""
    fields: dict[str, object] = msgspec.structs.asdict(changes)
    return fields | {"cursor": f"{changes.cursor.number}-{changes.cursor.leaf}"}
