"""Table rows of collections: what an edit writes, and what stays after a removal."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.engines.tools.changes import ACCOUNT, REF, removing, upload
from tests.engines.tools.collections import holding, making, new_collection, open_value, putting, value
from tests.unit.store.tools.tables import query

from nightsafe.store.collections import Kind
from nightsafe.store.sqlite import SqliteStore
from nightsafe.store.sqlite.reads import collections as reads
from nightsafe.store.sqlite.writes import collection_rows as writes


async def test_an_edit_rewrites_only_the_rows_of_its_items(store: SqliteStore, path: Path) -> None:
    """Items that are neither put nor dropped keep their rows."""
    await store.commit(making(new_collection(), put=(value("A"), value("B"), value("C", "preview"), value("D"))))
    kept = "SELECT rowid, * FROM items WHERE name IN ('B', 'C') ORDER BY name"
    before = query(path, kept)

    await store.commit(putting(value("A"), value("E"), drop=(("", "D"),)))

    assert before == query(path, kept)
    assert [("A",), ("B",), ("C",), ("E",)] == query(path, "SELECT name FROM items ORDER BY name")


async def test_reading_a_script_as_collection_makes_no_row(store: SqliteStore, path: Path) -> None:
    """A script has a row as a collection only after something was put into it."""
    await store.commit(upload())
    await store.collection(ACCOUNT, Kind.SCRIPT, REF.name)
    await store.commit(holding(REF.name, Kind.SCRIPT, drop=(("", "A"),)))

    assert [] == query(path, "SELECT * FROM collections")


async def test_removal_leaves_no_row_of_a_collection(store: SqliteStore, path: Path) -> None:
    """Removed collections, and the items of removed scripts, leave no row except in the audit log."""
    await store.commit(making(new_collection(), put=(value("A"), open_value("B"))))
    await store.commit(upload())
    await store.commit(holding(REF.name, Kind.SCRIPT, put=(value("A"),), body=b'{"x":1}'))
    rows = [query(path, "SELECT count(*) FROM collections"), query(path, "SELECT count(*) FROM items")]

    await store.commit(holding(remove=True))
    await store.commit(removing())

    assert [[(2,)], [(3,)]] == rows
    assert [] == query(path, "SELECT * FROM collections")
    assert [] == query(path, "SELECT * FROM items")
    assert [(5,)] == query(path, "SELECT count(*) FROM audit")


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        reads.collection_query(ACCOUNT, Kind.SCRIPT, "n"),
        reads.collection_query(ACCOUNT, Kind.PAGES_PROJECT, "n"),
        (reads._COLLECTIONS_BY_NAME, (ACCOUNT, Kind.PAGES_PROJECT)),
        (reads.ITEMS, (ACCOUNT, "id")),
        (reads.COUNT_SCRIPTS, (ACCOUNT, "ns")),
        (writes._COUNT_COLLECTIONS, (ACCOUNT, Kind.PAGES_PROJECT)),
        (writes._COUNT_ITEMS, (ACCOUNT, Kind.PAGES_PROJECT)),
        (writes._ID_EXISTS, (ACCOUNT, "id")),
        (writes._REMOVE_ITEMS, (ACCOUNT, "id")),
        (writes._REMOVE_COLLECTION, (ACCOUNT, "id")),
    ],
)
async def test_collection_statements_scan_no_table(
    store: SqliteStore, path: Path, sql: str, parameters: tuple[str, ...]
) -> None:
    """No statement scans a table or sorts."""
    await store.commit(making(new_collection()))

    with closing(sqlite3.connect(path)) as db:
        plan = " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", parameters))

    assert "SEARCH" in plan
    assert "SCAN" not in plan
    assert "TEMP B-TREE" not in plan
