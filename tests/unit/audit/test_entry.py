"""Audit entries: they are canonical, hashed as leaves, and contain no value."""

import hashlib
import json

import msgspec
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from nightsafe.audit.entry import AuditEvent, entry_for, leaf_hash

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
EVENTS = st.builds(
    AuditEvent,
    at=st.integers(0, 2**53 - 1),
    action=TEXT,
    actor=TEXT,
    actor_kind=st.sampled_from(["token", "key", "operator"]),
    account_id=TEXT,
    email=TEXT,
    address=TEXT,
    namespace=TEXT,
    script=TEXT,
    resource=TEXT,
    collection=TEXT,
    set=st.lists(TEXT, max_size=3).map(tuple),
    dropped=st.lists(TEXT, max_size=3).map(tuple),
    version_id=TEXT,
)


@given(st.binary())
def test_a_leaf_is_hashed_with_its_prefix(entry: bytes) -> None:
    """A leaf is SHA-256 of a zero byte and the entry (RFC 6962, section 2.1)."""
    assert hashlib.sha256(b"\x00" + entry).digest() == leaf_hash(entry)


@given(EVENTS)
def test_an_entry_is_canonical(event: AuditEvent) -> None:
    """An event has one text, canonical by RFC 8785 and without absent members, and the leaf is of that text."""
    made = entry_for(event)
    fields = {field.encode_name: getattr(event, field.name) for field in msgspec.structs.fields(event)}
    kept = {
        name: value
        for name, value in fields.items()
        if value not in ("", ()) or name in {"at", "action", "actor", "actor_kind", "account_id"}
    }

    assert rfc8785.dumps(json.loads(json.dumps(kept))) == made.entry
    assert (event.account_id, leaf_hash(made.entry), made) == (made.account_id, made.leaf, entry_for(event))


@given(EVENTS, EVENTS)
def test_different_events_have_different_leaves(one: AuditEvent, other: AuditEvent) -> None:
    """Two leaves are equal only if the events are equal."""
    assert (one == other) is (entry_for(one).leaf == entry_for(other).leaf)


def test_a_known_entry_does_not_change() -> None:
    """The text and the leaf of a known event do not change."""
    made = entry_for(
        AuditEvent(at=1, action="secrets.put", actor="t", actor_kind="token", account_id="a", set=("é",))
    )

    assert made.entry == (
        '{"account_id":"a","action":"secrets.put","actor":"t","actor_kind":"token","at":1,"set":["é"]}'.encode()
    )
    assert made.leaf.hex() == hashlib.sha256(b"\0" + made.entry).hexdigest()


def test_an_event_has_no_field_for_a_value() -> None:
    """An event has only names, times and places; a new field must be added here deliberately."""
    assert {
        "at", "action", "actor", "actor_kind", "account_id", "email", "address", "namespace", "script", "set",
        "dropped", "version_id", "permission", "policy", "resource", "collection",
    } == set(AuditEvent.__struct_fields__)  # fmt: skip
