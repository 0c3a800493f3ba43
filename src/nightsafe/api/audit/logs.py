"""Serves `/accounts/{account_id}/logs/audit`: the audit log, version 2, in pages by cursor.

Source: `audit-logs-v2` in the Cloudflare v4 API's specification.
"""

import base64
import binascii
import hashlib
import struct
from collections.abc import Mapping
from typing import Final

import msgspec

from nightsafe.api.audit.filters import CATEGORIES, FILTERS, condition_of
from nightsafe.api.audit.query import entries_wanted, is_newest_first, lists_with, period_of
from nightsafe.api.audit.views import to_json
from nightsafe.api.http.envelope import Reply, success, success_with_info
from nightsafe.api.http.path import ACCOUNT
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.permissions import Action
from nightsafe.services.audit.logs import LogEntry, Span, number_of_id
from nightsafe.services.services import Services

_AT: Final = f"{ACCOUNT}/logs/audit"
_PARAMETERS: Final = FILTERS | {"since", "before", "direction", "limit", "cursor"}
_CURSOR: Final = struct.Struct(">?QQ")
_CHECK_BYTES: Final = 7


def resources(services: Services) -> list[Resource]:
    """Return the routes of this module."""

    async def list_entries(call: Call) -> Reply:
        """GET …/logs/audit."""
        lists = lists_with(call.query, _PARAMETERS)
        fields = {name: values[-1] for name, values in lists.items()}
        account, logs = await services.accounts.get(call.account_id), services.audit_logs
        period, limit = period_of(fields, required=True), entries_wanted(fields, "limit")
        newest_first, condition = is_newest_first(fields), condition_of(lists, account)
        span = _after_cursor(call.account_id, fields.get("cursor", ""), newest_first=newest_first)
        if span is None:
            span = Span(1, await logs.newest(call.account_id), newest_first)
        found = await logs.find(call.account_id, _with_ids(span, lists), period, condition, limit + 1)
        page = found[:limit]
        cursor = _cursor(call.account_id, span, page[-1]) if len(found) > limit else ""
        info = {"count": len(page), "per_page": limit, "cursor": cursor, "cursors": {"after": cursor}}
        result = msgspec.json.encode([to_json(entry, account) for entry in page])
        return success_with_info(result, msgspec.json.encode(info))

    return [
        Resource("GET", _AT, Action.READ_AUDIT, list_entries),
        Resource("GET", f"{_AT}/product_categories", Action.READ_AUDIT, _list_categories),
    ]


async def _list_categories(_: Call) -> Reply:
    """GET …/logs/audit/product_categories."""
    return success(
        [
            {
                "value": category,
                "label": label,
                "products": [{"value": value, "label": words} for value, words in products.items()],
            }
            for category, (label, products) in CATEGORIES.items()
        ]
    )


def _with_ids(span: Span, lists: Mapping[str, list[str]]) -> Span:
    """Return the part of the log that has the entries with the requested IDs."""
    for name in ("id", "audit_log_id"):
        if name in lists:
            numbers = [number for number in map(number_of_id, lists[name]) if number is not None]
            span = Span(
                max(span.first, min(numbers, default=1)), min(span.last, max(numbers, default=0)), span.newest_first
            )
    return span


def _cursor(account_id: str, span: Span, last: LogEntry) -> str:
    """Return the cursor after an entry. It also has the other end, so that later entries do not prolong the list."""
    ends = (span.first, last.number - 1) if span.newest_first else (last.number + 1, span.last)
    packed = _CURSOR.pack(span.newest_first, *ends)
    return base64.urlsafe_b64encode(packed + _check(account_id, packed)).decode()


def _after_cursor(account_id: str, text: str, *, newest_first: bool) -> Span | None:
    """Return the rest of the log after a cursor; None without a cursor.

    Raises:
        NightsafeError: INVALID, for a text that is not a cursor of this list in this direction.
    """
    if not text:
        return None
    try:
        cursor = base64.b64decode(text, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        cursor = b""
    packed, check = cursor[: _CURSOR.size], cursor[_CURSOR.size :]
    if len(packed) == _CURSOR.size and check == _check(account_id, packed):
        cursor_newest_first, first, last = _CURSOR.unpack(packed)
        if cursor_newest_first == newest_first and last < 1 << 63:
            return Span(first, last, newest_first)
    raise NightsafeError(
        Code.INVALID, "'cursor' must come from the previous answer to the same request; leave it out to start again"
    )


def _check(account_id: str, packed: bytes) -> bytes:
    """Return the bytes that tell a cursor of an account from other texts. They are no secret."""
    return hashlib.sha256(account_id.encode() + packed).digest()[:_CHECK_BYTES]
