"""Serves `/accounts/{account_id}/audit_logs` and `/user/audit_logs`: the audit log, version 1, in numbered pages.

Source: `audit-logs` in the Cloudflare v4 API's specification.
"""

import csv
import io
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Any, Final

import msgspec

from nightsafe.api.audit.query import check_choice, entries_wanted, is_newest_first, lists_with, period_of
from nightsafe.api.audit.views import to_json_v1
from nightsafe.api.http.envelope import FIXED_HEADERS, Reply, success_with_info
from nightsafe.api.http.paging import whole_number
from nightsafe.api.http.path import ACCOUNT
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.permissions import Action
from nightsafe.identity.service import Principal
from nightsafe.services.audit.logs import USERS, Condition, LogEntry, Span, number_of_id
from nightsafe.services.services import Services

_PARAMETERS: Final = frozenset(
    {
        "action.type", "actor.email", "actor.ip", "before", "direction", "export", "hide_user_logs", "id", "page",
        "per_page", "since", "zone.name",
    }
)  # fmt: skip
_TRUTH: Final = {"true": True, "false": False}
_COLUMNS: Final = (
    "id", "when", "action.type", "action.result", "actor.id", "actor.email", "actor.ip", "actor.type", "interface",
    "owner.id", "resource.type", "resource.id", "metadata",
)  # fmt: skip
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def resources(services: Services) -> list[Resource]:
    """Return the routes of this module."""

    async def of_account(call: Call) -> Reply:
        """GET /accounts/{account_id}/audit_logs."""
        return await _list(call, services, call.account_id, lambda _: True)

    async def of_user(call: Call) -> Reply:
        """GET /user/audit_logs."""
        hidden = _is_true(_fields(call), "hide_user_logs")
        principal = call.caller.principal
        return await _list(call, services, USERS, lambda entry: not hidden and _is_of(entry, principal))

    return [
        Resource("GET", f"{ACCOUNT}/audit_logs", Action.READ_AUDIT, of_account),
        Resource("GET", "/client/v4/user/audit_logs", Action.READ_AUDIT, of_user),
    ]


async def _list(call: Call, services: Services, account_id: str, visible: Condition) -> Reply:
    """Return a page of the visible entries of a log that a query asks for."""
    fields, logs = _fields(call), services.audit_logs
    period, size = period_of(fields, required=False), entries_wanted(fields, "per_page")
    page, as_csv = whole_number(fields, "page", 1), _is_true(fields, "export")
    _is_true(fields, "hide_user_logs")  # only the log of a user has such entries, but the value must be one
    span, condition = Span(1, await logs.newest(account_id), is_newest_first(fields)), _condition_of(fields)
    if "id" in fields:
        number = number_of_id(fields["id"]) or 0
        span = Span(number, min(number, span.last), span.newest_first)
    found = await logs.find(
        account_id, span, period, lambda entry: visible(entry) and condition(entry), size, skip=(page - 1) * size
    )
    items = [to_json_v1(entry) for entry in found]
    if as_csv:
        headers = ((b"content-type", b"text/csv; charset=utf-8"), *FIXED_HEADERS[1:])
        return Reply(200, _csv(items).encode(), headers)
    info = {"page": page, "per_page": size, "count": len(items)}
    return success_with_info(msgspec.json.encode(items), msgspec.json.encode(info))


def _fields(call: Call) -> dict[str, str]:
    """Return the query's fields. If a name occurs more than once, the last one counts."""
    return {name: values[-1] for name, values in lists_with(call.query, _PARAMETERS).items()}


def _is_true(fields: dict[str, str], name: str) -> bool:
    """Return the truth of a field; an absent one is false."""
    text = fields.get(name, "false")
    check_choice(name, [text], _TRUTH)
    return _TRUTH[text]


def _is_of(entry: LogEntry, principal: Principal) -> bool:
    """Return whether an entry is about a user. Older entries name the user only by e-mail address."""
    event = entry.event
    if event.user_id or event.actor_kind == "account_token":
        return event.user_id == principal.user_id
    return bool(event.email) and event.email == principal.email


def _condition_of(fields: dict[str, str]) -> Condition:
    """Return the condition that an entry must meet.

    Raises:
        NightsafeError: INVALID.
    """
    conditions: list[Condition] = []
    if "id" in fields:
        conditions.append(lambda entry: entry.id == fields["id"])
    if "action.type" in fields:
        conditions.append(lambda entry: entry.event.action == fields["action.type"])
    if "actor.email" in fields:
        email = fields["actor.email"].casefold()
        conditions.append(lambda entry: to_json_v1(entry)["actor"].get("email", "").casefold() == email)
    if "actor.ip" in fields:
        conditions.append(_from_network(fields["actor.ip"]))
    if "zone.name" in fields:
        conditions.append(lambda _: False)
    return lambda entry: all(condition(entry) for condition in conditions)


def _from_network(text: str) -> Condition:
    """Return the condition that an entry's request came from an address or network.

    Raises:
        NightsafeError: INVALID.
    """
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise NightsafeError(
            Code.INVALID, "'actor.ip' must be an address, or a network such as 192.0.2.0/24"
        ) from None

    def is_from(entry: LogEntry) -> bool:
        """Return whether the request of an entry came from the network."""
        try:
            return ip_address(entry.event.address) in network
        except ValueError:
            return False

    return is_from


def _csv(items: Sequence[dict[str, Any]]) -> str:
    """Return entries as CSV (RFC 4180) with a line of names. No field can become a formula of a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for item in items:
        writer.writerow([_cell(item, column) for column in _COLUMNS])
    return text.getvalue()


def _cell(item: dict[str, Any], column: str) -> str:
    """Return the text of an entry's member, by its path."""
    value: Any = item
    for name in column.split("."):
        value = value.get(name, "")
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return msgspec.json.encode(value).decode()
