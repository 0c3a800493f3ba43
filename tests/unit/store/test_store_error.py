"""The error code of a failure of the engine."""

import sqlite3

import pytest

from nightsafe.errors import Code
from nightsafe.store.sqlite.engine.connection import store_error


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("SQLITE_FULL", Code.DISK_FULL),
        ("SQLITE_IOERR_SHMSIZE", Code.DISK_FULL),  # there is no room for the log's index
        ("SQLITE_IOERR_READ", Code.STORE),
    ],
)
def test_a_full_disk_has_its_own_code(name: str, code: Code) -> None:
    """The engine's error name determines the code."""
    error = sqlite3.OperationalError("it failed")
    error.sqlite_errorname = name

    assert code == store_error(error).code
