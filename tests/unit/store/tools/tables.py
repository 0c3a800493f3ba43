"""Reads of a store's tables for the tests."""

import sqlite3
from contextlib import closing
from pathlib import Path


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    """Return rows, read through a separate connection."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()
