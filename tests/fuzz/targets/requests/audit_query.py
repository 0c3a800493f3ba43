"""Query strings of the audit log: filters, periods, sizes and cursors."""

from nightsafe.api.audit.filters import FILTERS, condition_of
from nightsafe.api.audit.logs import _after_cursor
from nightsafe.api.audit.logs_v1 import _PARAMETERS, _condition_of
from nightsafe.api.audit.query import MAX_ENTRIES, entries_wanted, is_newest_first, lists_with, period_of
from nightsafe.audit.entry import AuditEvent
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.audit.logs import LogEntry, number_of_id
from nightsafe.store.identities import Account

_ACCOUNT = Account("a" * 32, "an account", 1)
_ENTRY = LogEntry(1, "0" * 32, AuditEvent(at=1, action="x", actor="t", actor_kind="token", account_id="a" * 32))
_KNOWN = FILTERS | _PARAMETERS | {"cursor", "limit"}


def check(data: bytes) -> None:
    """Check that a query is refused as invalid, or asks for a bounded part of the log by conditions that work."""
    try:
        lists = lists_with(data, _KNOWN)
        fields = {name: values[-1] for name, values in lists.items()}
        newest_first, limit = is_newest_first(fields), entries_wanted(fields, "limit")
        period = period_of(fields, required=False)
        span = _after_cursor(_ACCOUNT.id, fields.get("cursor", ""), newest_first=newest_first)
        conditions = (condition_of(lists, _ACCOUNT), _condition_of(fields))
    except NightsafeError as refused:
        assert refused.code is Code.INVALID
        return
    assert 1 <= limit <= MAX_ENTRIES
    assert 0 <= period.since <= period.until + 1
    assert span is None or 0 <= span.first < 1 << 64
    for condition in conditions:
        assert condition(_ENTRY) in {True, False}
    for value in lists.get("id", ()):
        number = number_of_id(value)
        assert number is None or 0 <= number < 1 << 63
