"""Entries on their way to a sink, for tests."""

from msgspec.structs import replace

from nightsafe.audit.entry import AuditEvent, entry_for
from nightsafe.audit.sinks.shipment import Shipped, shipped
from nightsafe.merkle.tree import leaf_hash


def shipped_event(number: int, event: AuditEvent) -> Shipped:
    """Return the entry of an event as it is sent, with its leaf hash."""
    entry = entry_for(event)
    return shipped(number, replace(entry, leaf=leaf_hash(entry.entry)))
