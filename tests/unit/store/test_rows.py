"""What the tables hold: how much a write costs, what stays after a removal, the counter."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engines.changes import ACCOUNT, OTHER_ACCOUNT, REF, dropping, plain, removing, secret, setting, upload
from tests.engines.refusals import refusal

from nightsafe.store.model import Change, ScriptRef
from nightsafe.store.sqlite import SqliteStore

NAMES = st.sampled_from(["A", "B", "C"])
KINDS = st.sampled_from(["plain_text", "json", "kv_namespace"])
SECRETS = st.sampled_from(["secret_text", "secret_key"])
CHANGES = st.one_of(
    st.builds(setting, st.builds(secret, NAMES, SECRETS), st.builds(secret, NAMES, SECRETS)),
    st.builds(lambda *names: dropping(*names, require=False), NAMES, NAMES),
    st.builds(
        lambda new, keep: upload(*new, keep=keep),
        st.lists(st.one_of(st.builds(secret, NAMES, SECRETS), st.builds(plain, NAMES, KINDS)), max_size=3),
        st.lists(SECRETS | KINDS, max_size=2).map(tuple),
    ),
)


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    """Rows, read by a connection of its own."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()


def size(path: Path) -> int:
    """A file's length in bytes."""
    return path.stat().st_size


def content(path: Path) -> bytes:
    """A file's bytes."""
    return path.read_bytes()


async def test_a_write_costs_what_it_changes(path: Path) -> None:
    """Ten thousand writes of a 200-byte secret into a script of 100 take less than 1 KB each, audit rows apart."""
    names = [f"SECRET_{number:02}" for number in range(100)]
    store = SqliteStore.open(path, create=True)
    await store.commit(upload(*(secret(name) for name in names)))
    await store.close()
    before = size(path)

    store = SqliteStore.open(path)
    for _ in range(20):
        await asyncio.gather(*(store.commit(setting(secret(name))) for name in names * 5))
    await store.close()

    audit = query(path, "SELECT sum(length(entry) + length(leaf) + length(account_id) * 2 + 20) FROM audit")[0][0]
    assert isinstance(audit, int)
    assert query(path, "SELECT version FROM scripts") == [(10_001,)]
    assert size(path) - before - audit < 10_000 * 1000


async def test_an_unchanged_upload_costs_no_binding_rows(store: SqliteStore, path: Path) -> None:
    """Kept, inherited and equal plain bindings stay the rows that they were."""
    await store.commit(upload(secret("S"), plain("P")))
    rows = query(path, "SELECT rowid, * FROM bindings")

    await store.commit(upload(plain("P"), keep=("secret_text",)))

    assert rows == query(path, "SELECT rowid, * FROM bindings")
    assert query(path, "SELECT count(*) FROM binding_history") == [(0,)]
    assert query(path, "SELECT count(*) FROM contents") == [(1,)]


async def test_removal_leaves_no_row(store: SqliteStore, path: Path) -> None:
    """Of removed scripts nothing is left but the audit log; contents go with the last script that has them."""
    other, foreign = ScriptRef(ACCOUNT, "other"), ScriptRef(OTHER_ACCOUNT, "worker")
    for ref in (REF, other, foreign):
        await store.commit(upload(secret("S"), ref=ref, bodies=(b"shared", ref.name.encode())))
        await store.commit(setting(secret("S"), ref=ref))
    contents = []
    for ref in (REF, other, foreign):
        await store.commit(removing(ref))
        contents.append(query(path, "SELECT count(*) FROM contents")[0][0])

    tables = ("scripts", "versions", "uploads", "modules", "bindings", "binding_history", "contents")
    assert [query(path, f"SELECT count(*) FROM {table}")[0][0] for table in tables] == [0] * 7  # noqa: S608
    assert contents == [4, 2, 0]
    assert query(path, "SELECT count(*) FROM audit") == [(9,)]


async def test_dropped_values_stay_out_of_the_file(store: SqliteStore, path: Path) -> None:
    """After a removal and the log's end, no sealed value is found in the file's free space."""
    values = [bytes([65 + number]) * 300 for number in range(26)]
    await store.commit(upload(*(secret(f"S{n}", sealed=value) for n, value in enumerate(values))))
    await store.commit(setting(*(secret(f"S{n}") for n in range(26))))
    await store.commit(removing())
    await store.close()

    kept = content(path)

    assert [value[:1] for value in values if value[:64] in kept] == []


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(CHANGES, max_size=12))
def test_the_counter_is_the_count(tmp_path: Path, changes: list[Change]) -> None:
    """After any history the script's counter is the number of its secrets and text and JSON variables."""

    async def history() -> None:
        """One history, checked after each change."""
        path = tmp_path / "safe" / "store.db"
        store = SqliteStore.open(path, create=True)
        try:
            await store.commit(upload())
            for new in changes:
                await refusal(store, new)
                [(counted, count)] = query(path, COUNTS)
                assert count == counted
            await store.commit(removing())
        finally:
            await store.close()

    asyncio.run(history())


COUNTS = """
SELECT variables, (SELECT count(*) FROM bindings b WHERE b.account_id = s.account_id AND b.script = s.name
  AND kind IN ('secret_text', 'secret_key', 'plain_text', 'json')) FROM scripts s
"""
