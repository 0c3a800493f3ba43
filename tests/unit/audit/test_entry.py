"""Audit entries: they are canonical, differ if their events differ, and contain no value."""

import json

import msgspec
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from nightsafe.audit.entry import AuditEvent, entry_for
from nightsafe.merkle.tree import leaf_hash

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
    user_id=TEXT,
    token_name=TEXT,
    method=TEXT,
    uri=TEXT,
    user_agent=TEXT,
    status=st.integers(0, 599),
    outcome=st.sampled_from(["", "refused", "viewed"]),
    reason=TEXT,
    repeated=st.integers(0, 2**53 - 1),
)


@given(EVENTS)
def test_an_entry_is_canonical(event: AuditEvent) -> None:
    """An event has one text, canonical by RFC 8785 and without absent members. The store computes its leaf."""
    made = entry_for(event)
    fields = {field.encode_name: getattr(event, field.name) for field in msgspec.structs.fields(event)}
    kept = {
        name: value
        for name, value in fields.items()
        if value not in ("", (), 0) or name in {"at", "action", "actor", "actor_kind", "account_id"}
    }

    assert rfc8785.dumps(json.loads(json.dumps(kept))) == made.entry
    assert (event.account_id, b"", made) == (made.account_id, made.leaf, entry_for(event))


@given(EVENTS, EVENTS)
def test_different_events_have_different_leaves(one: AuditEvent, other: AuditEvent) -> None:
    """Two leaves are equal only if the events are equal."""
    assert (one == other) is (leaf_hash(entry_for(one).entry) == leaf_hash(entry_for(other).entry))


def test_a_known_entry_does_not_change() -> None:
    """The text of a known event, and so its leaf, does not change."""
    made = entry_for(
        AuditEvent(at=1, action="secrets.put", actor="t", actor_kind="token", account_id="a", set=("é",))
    )

    assert made.entry == (
        '{"account_id":"a","action":"secrets.put","actor":"t","actor_kind":"token","at":1,"set":["é"]}'.encode()
    )
    assert leaf_hash(made.entry).hex() == "72cb999654c99ab10acc191d33c38f69013c1ef61900e03978d1832b9dd8c923"


def test_an_event_has_no_field_for_a_value() -> None:
    """An event has only names, times and places; a new field must be added here deliberately."""
    assert {
        "at", "action", "actor", "actor_kind", "account_id", "email", "address", "namespace", "script", "set",
        "dropped", "version_id", "permission", "policy", "resource", "collection", "user_id", "token_name", "method",
        "uri", "user_agent", "status", "outcome", "reason", "repeated",
    } == set(AuditEvent.__struct_fields__)  # fmt: skip
