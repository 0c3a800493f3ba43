"""The places that an entry names: short in the entry, and whole for the state that the log describes."""

import pytest

from nightsafe.store.log.written import Subject, Written, deployment_place, names_identities, value_place


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


@pytest.mark.parametrize(
    ("entry", "names"),
    [
        (b'{"action":"secrets.put","written":{"owner":"o","statements":[["record","AA==","3/token/id"]]}}', False),
        (b'{"action":"scripts.delete","written":{"gone":["owner/token","item/user/x"]}}', False),
        (b'{"action":"tokens.list"}', False),
        (b'{"written":{"rows":[["settings//","AA=="],["token/id","AA=="]]}}', True),
        (b'{"written":{"rows":[["account/id","AA=="]]}}', True),
        (b'{"written":{"rows":[["user/id","AA=="]]}}', True),
        (b'{"written":{"gone":["membership/account/user"]}}', True),
        (b"", True),
        (b"{", True),
        (b'{"written":{"rows":[3]}}', True),
    ],
)
def test_an_entry_names_the_identities_that_its_change_wrote(entry: bytes, *, names: bool) -> None:
    """An entry with a place of an identity names one; so does, for safety, one that cannot be read."""
    assert names is names_identities(entry)
