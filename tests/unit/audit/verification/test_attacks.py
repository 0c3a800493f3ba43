"""The verification finds each change that was made without the API, and names the first difference."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.unit.audit.tools.filled_safe import KEYS, change, fill, newest_checkpoint, opened, verify

from nightsafe.audit.verification.difference import DifferenceError
from nightsafe.merkle.checkpoint import Checkpoint
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys

ATTACKS = {
    name: (sql, words)
    for name, words, sql in re.findall(
        r"^-- ([^:\n]+): (.+)\n((?:.+\n)+)", Path(__file__).with_name("attacks.sql").read_text(), re.MULTILINE
    )
}
"""The statements and the words of the difference, by the attack's name."""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a database with rows of every kind."""
    return fill(tmp_path_factory.mktemp("filled"))


@pytest.fixture
def db(database: bytes) -> Iterator[sqlite3.Connection]:
    """Yield a copy of the database."""
    with closing(opened(database)) as db:
        yield db


def test_an_unchanged_database_is_as_its_log_says(db: sqlite3.Connection) -> None:
    """Rows of every kind, after a rotation and deletions, are as the log says, and the numbers are right."""
    verified = verify(db)

    assert db.execute("SELECT count(*) FROM audit").fetchone()[0] == verified.entries > 256
    assert db.execute("SELECT count(*) FROM versions").fetchone()[0] == verified.versions
    assert 0 == verified.older


def test_the_attacks_are_read() -> None:
    """The file of attacks is read as a whole."""
    assert 90 < len(ATTACKS)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_changed_database_is_refused_with_the_difference(db: sqlite3.Connection, attack: str) -> None:
    """Each change of the database without the API is found, and the refusal names the row or the entry."""
    sql, words = ATTACKS[attack]
    change(db, *sql.split(";\n")[:-1])

    with pytest.raises(DifferenceError) as refusal:
        verify(db)

    assert words in refusal.value.what


def test_a_foreign_trigger_is_refused(db: sqlite3.Connection) -> None:
    """A database with a trigger of another program is refused, because the trigger may change rows at any time."""
    db.execute("CREATE TRIGGER foreign_one AFTER INSERT ON tokens BEGIN SELECT 1; END")

    with pytest.raises(Exception, match="is not Nightsafe's"):
        verify(db)


def test_keys_of_another_safe_are_refused(db: sqlite3.Connection) -> None:
    """A log that the given keys have not signed is refused; a key in the database itself would be worth nothing."""
    with pytest.raises(DifferenceError, match="no given key has signed"):
        verify(db, keys=VerifyKeys([SigningKey.generate().verify_key]))


def test_a_database_that_was_put_back_is_refused_with_an_earlier_checkpoint(
    database: bytes,
) -> None:
    """A kept checkpoint shows that the whole database was put back to an older state, or that it has another past."""
    known = newest_checkpoint(database)
    shorter = Checkpoint(known.origin, known.size - 9, b"\1" * 32)
    longer = Checkpoint(known.origin, known.size + 9, known.root)

    with closing(opened(database)) as db:
        assert known.size == verify(db, known).entries
        with pytest.raises(DifferenceError, match="entries, and your checkpoint has"):
            verify(db, longer)
        with pytest.raises(DifferenceError, match="are not those of your checkpoint"):
            verify(db, shorter)
        with pytest.raises(DifferenceError, match="and your checkpoint is of"):
            verify(db, Checkpoint("nightsafe/another", known.size, known.root))


def test_no_signature_key_is_needed() -> None:
    """Verification needs public keys alone."""
    assert {"keys", "_by_id", "_valid"} == set(KEYS.__slots__)
