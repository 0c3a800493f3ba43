"""The verification of a log that several nodes have signed in turn."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.stores import SIGNING_KEY
from tests.unit.api.tools.driver import Api, File
from tests.unit.api.tools.rotation import text
from tests.unit.audit.tools.filled_safe import KEYS, opened, verify

from nightsafe.audit.verification.difference import DifferenceError
from nightsafe.audit.verification.quick_check import check_quickly
from nightsafe.cli.safe.database_copy import copy_database
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys

OTHER_KEY = SigningKey.generate()
BOTH = KEYS.with_key(OTHER_KEY.verify_key)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a database whose log two nodes have signed in turn, the other one last."""
    folder = tmp_path_factory.mktemp("signed")
    with Api(folder) as api:
        metadata = {"main_module": "worker.js", "bindings": [text("S", "0")]}
        assert api.upload("worker", metadata, File("worker.js")).status == 200
        for number, signer in enumerate((OTHER_KEY, SIGNING_KEY, OTHER_KEY), start=1):
            api.signer = signer
            api.restart()
            assert api.put("worker", text("S", str(number))).status == 200
        copy_database(api.path, folder / "copy.db")
    return (folder / "copy.db").read_bytes()


@pytest.fixture
def db(database: bytes) -> Iterator[sqlite3.Connection]:
    """Yield a copy of the database."""
    with closing(opened(database)) as db:
        yield db


@pytest.fixture
def sizes(db: sqlite3.Connection) -> list[int]:
    """Return the sizes of the log that the other key has signed."""
    return [row[0] for row in db.execute("SELECT size FROM log_groups WHERE signer = ? ORDER BY 1", (OTHER_KEY.id,))]


def test_a_log_with_several_signers_verifies(db: sqlite3.Connection, sizes: list[int]) -> None:
    """With the keys of all nodes, the whole log and its newest part verify."""
    signers = [row[0] for row in db.execute("SELECT signer FROM log_groups ORDER BY first")]

    assert [SIGNING_KEY.id, OTHER_KEY.id] * 2 == signers
    assert sizes[-1] == verify(db, keys=BOTH).entries
    assert sizes[-1] == check_quickly(db, BOTH)


@pytest.mark.parametrize("only", [SIGNING_KEY, OTHER_KEY], ids=["the first", "the other"])
def test_a_key_that_is_not_listed_is_found(db: sqlite3.Connection, only: SigningKey) -> None:
    """With the key of one node alone, the verification names the entries that another key has signed."""
    keys = VerifyKeys([only.verify_key])

    with pytest.raises(DifferenceError, match="no given key has signed the statements of the entries"):
        verify(db, keys=keys)
    with pytest.raises(DifferenceError, match=r"no (given|trusted) key has signed"):
        check_quickly(db, keys)


def test_what_a_retired_key_signed_before_verifies(db: sqlite3.Connection, sizes: list[int]) -> None:
    """A key that was retired at the log's present size has signed everything in time."""
    retired = BOTH.retired(OTHER_KEY.verify_key, sizes[-1])

    assert sizes[-1] == verify(db, keys=retired).entries
    assert sizes[-1] == check_quickly(db, retired)


@pytest.mark.parametrize("late", [0, 1])
def test_what_a_retired_key_signed_later_is_found(db: sqlite3.Connection, sizes: list[int], late: int) -> None:
    """The verification names the first checkpoint after the key's retirement, the size then, and a way out."""
    until = sizes[late] - 1
    retired = BOTH.retired(OTHER_KEY.verify_key, until)

    with pytest.raises(DifferenceError, match="was retired") as found:
        verify(db, keys=retired)
    assert f"checkpoint of {sizes[late]} entries was signed with the key {OTHER_KEY.id}" in found.value.what
    assert f"when the log had {until}" in found.value.what
    assert "nightsafe node retire" in found.value.advice
    with pytest.raises(DifferenceError, match="was retired"):
        check_quickly(db, retired)
