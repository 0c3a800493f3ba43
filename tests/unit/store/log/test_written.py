"""The places that an entry names: short in the entry, and whole for the state that the log describes."""

import pytest

from nightsafe.store.log.written import Subject, Written, deployment_place, value_place


@pytest.mark.parametrize(
    ("short", "whole"),
    [
        ("value//production/A", "value/owner/production/A"),
        ("settings//", "settings/owner/"),
        ("item///A", "item/owner//A"),
        ("value/another//A", "value/another//A"),
        ("value/another/3/a//b", "value/another/3/a//b"),
        ("token/id", "token/id"),
        ("owner/id", "owner/id"),
    ],
)
def test_an_entry_leaves_out_its_owner(short: str, whole: str) -> None:
    """A place without an owner belongs to the owner of the entry, and every other place stays as it is."""
    assert whole == Written(owner="owner").full(short)


@pytest.mark.parametrize(
    ("subject", "short", "whole"),
    [
        (Subject.RECORD, value_place(3, "a//b"), "value/owner/3/a//b"),
        (Subject.ITEM, value_place("", "A"), "value/owner//A"),
        (Subject.RESEALED, "another/3/A", "value/another/3/A"),
        (Subject.VERSION, "3", "version/owner/3"),
        (Subject.DEPLOYMENT, deployment_place((3, 0)), "deployment/owner/3.0"),
        (Subject.TRIGGERS, "", "triggers/owner/"),
    ],
)
def test_a_statement_leaves_out_what_its_subject_says(subject: Subject, short: str, whole: str) -> None:
    """The subject of a statement and the owner of the entry complete the statement's place."""
    assert whole == Written(owner="owner").full_statement(subject, short)
