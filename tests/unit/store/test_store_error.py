"""What a failure of the engine is called."""

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
def test_a_full_disk_is_told_from_others(name: str, code: Code) -> None:
    """By the engine's own name of it."""
    error = sqlite3.OperationalError("it failed")
    error.sqlite_errorname = name

    assert code == store_error(error).code
