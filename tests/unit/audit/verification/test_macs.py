"""With the identity key, a verification also checks the MACs of scripts and identities."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.stores import IDENTITY_KEY
from tests.unit.audit.tools.filled_safe import change, fill, opened, verify

from nightsafe.audit.verification.difference import DifferenceError
from nightsafe.audit.verification.mac_check import check_macs
from nightsafe.sealing.identity_key import IdentityKey


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a database with rows of every kind."""
    return fill(tmp_path_factory.mktemp("filled"), secrets=3)


@pytest.fixture
def db(database: bytes) -> Iterator[sqlite3.Connection]:
    """Yield a copy of the database."""
    with closing(opened(database)) as db:
        yield db


def test_the_macs_of_an_unchanged_database_are_right(db: sqlite3.Connection) -> None:
    """Every row that Nightsafe wrote has its MAC."""
    check_macs(db, IDENTITY_KEY)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE scripts SET mac = zeroblob(32) WHERE name = 'worker'", "the row of the script 'worker'"),
        ("UPDATE scripts SET mac = x'' WHERE name = 'worker'", "the row of the script 'worker'"),
        ("UPDATE accounts SET mac = zeroblob(32)", "of the table accounts"),
        ("UPDATE users SET mac = x''", "of the table users"),
        ("UPDATE memberships SET mac = zeroblob(32)", "of the table memberships"),
        ("UPDATE tokens SET mac = (SELECT mac FROM users) WHERE name = 'kept'", "of the table tokens"),
    ],
)
def test_a_changed_mac_is_refused_with_its_row(db: sqlite3.Connection, sql: str, words: str) -> None:
    """A MAC that the log does not cover is found with the key, and the refusal names its row."""
    change(db, sql)
    verify(db)

    with pytest.raises(DifferenceError) as refusal:
        check_macs(db, IDENTITY_KEY)

    assert words in refusal.value.what


def test_another_identity_key_is_refused(db: sqlite3.Connection) -> None:
    """With an exchanged key no MAC is right, and the advice is to compare the key with a backup."""
    with pytest.raises(DifferenceError, match=r"compare keys/identity-key\.json"):
        check_macs(db, IdentityKey.generate())


def test_a_script_without_a_mac_may_be_older(db: sqlite3.Connection) -> None:
    """A script that is older than its MAC passes as long as the key accepts older rows."""
    change(db, "UPDATE scripts SET mac = x''")

    check_macs(db, IDENTITY_KEY.with_older_rows(accepted=True))
