"""The form in which entries leave: one JSON object a line."""

from collections.abc import Sequence

import msgspec
import structlog
from msgspec import Struct

from nightsafe.store.changes import AuditEntry

_log = structlog.get_logger()


class _Time(Struct):
    """The part of an entry that a sink needs to know."""

    at: int = 0


_times = msgspec.json.Decoder(_Time)


class Shipped(Struct, frozen=True):
    """One entry on its way.

    Attributes:
        number: its sequence number.
        leaf: its leaf hash.
        line: the object with the number, the leaf hash in hex and the entry byte for byte, without a line end. An
            entry that is not what its leaf hash says is `null`.
        at: its time, in microseconds since 1970 UTC; 0 for an entry without a time.
    """

    number: int
    leaf: bytes
    line: bytes
    at: int


def shipped(number: int, entry: AuditEntry) -> Shipped:
    """Return the form in which an entry is sent."""
    text = entry.entry
    if not entry.is_intact:
        text = b"null"
        _log.error("audit_sink.entry_changed", entry=number - 1, reason="run: nightsafe audit verify")
    line = b'{"seq":%d,"leaf":"%s","entry":%s}' % (number, entry.leaf.hex().encode(), text)
    return Shipped(number, entry.leaf, line, time_of(entry))


def time_of(entry: AuditEntry) -> int:
    """Return an entry's time in microseconds; 0 for an entry without a time."""
    try:
        return _times.decode(entry.entry).at
    except msgspec.DecodeError:
        return 0


def json_lines(entries: Sequence[Shipped]) -> bytes:
    """Return a batch as JSON lines."""
    return b"".join(b"%s\n" % entry.line for entry in entries)
