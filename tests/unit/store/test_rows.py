"""Table rows: the cost of writes, what stays after a removal, and the counter of variables."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.effort import examples
from tests.engines.tools.changes import (
    ACCOUNT,
    OTHER_ACCOUNT,
    REF,
    code,
    deploying,
    dropping,
    editing,
    plain,
    removing,
    secret,
    setting,
    stamp,
    upload,
)
from tests.engines.tools.refusals import refusal
from tests.stores import SIGNING_KEY, open_store
from tests.unit.store.tools.tables import query

from nightsafe.errors import Code
from nightsafe.store.changes import Change
from nightsafe.store.script_edit import SettingsUpdate
from nightsafe.store.scripts import ScriptRef
from nightsafe.store.sqlite import SqliteStore
from nightsafe.store.sqlite.reads import bundles, rows, scripts, sealed_values
from nightsafe.store.sqlite.reads import content as content_reads
from nightsafe.store.sqlite.writes import safe_rows, script_rows

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


def size(path: Path) -> int:
    """Return a file's length in bytes."""
    return path.stat().st_size


def content(path: Path) -> bytes:
    """Return a file's bytes."""
    return path.read_bytes()


@pytest.mark.thorough
@pytest.mark.heavy
async def test_a_write_takes_little_more_than_1_kb(path: Path) -> None:
    """Ten thousand writes of a 200-byte secret to a script of 100 take under 1,050 bytes each, without audit rows."""
    names = [f"SECRET_{number:02}" for number in range(100)]
    store = open_store(path)
    await store.commit(upload(*(secret(name) for name in names)))
    await store.close()
    before = size(path)

    store = SqliteStore.open(path, signer=SIGNING_KEY)
    for _ in range(20):
        await asyncio.gather(*(store.commit(setting(secret(name))) for name in names * 5))
    await store.close()

    audit = query(path, "SELECT sum(length(entry) + length(leaf) + length(account_id) * 2 + 20) FROM audit")[0][0]
    assert isinstance(audit, int)
    assert query(path, "SELECT version FROM scripts") == [(10_001,)]
    # The log takes 187 of these: three statements in its group, and three digests of 32 bytes with their places.
    assert size(path) - before - audit < 10_000 * 1050


async def test_an_unchanged_upload_writes_no_binding_rows(store: SqliteStore, path: Path) -> None:
    """Kept, inherited and equal plain bindings keep their rows."""
    await store.commit(upload(secret("S"), plain("P")))
    rows = query(path, "SELECT rowid, * FROM bindings")

    await store.commit(upload(plain("P"), keep=("secret_text",)))

    assert rows == query(path, "SELECT rowid, * FROM bindings")
    assert query(path, "SELECT count(*) FROM binding_history") == [(0,)]
    assert query(path, "SELECT count(*) FROM contents") == [(1,)]


async def test_removal_leaves_no_row(store: SqliteStore, path: Path) -> None:
    """Removed scripts leave no row except in the audit log; a content is removed with the last script that has it."""
    other, foreign = ScriptRef(ACCOUNT, "other"), ScriptRef(OTHER_ACCOUNT, "worker")
    for ref in (REF, other, foreign):
        await store.commit(upload(secret("S"), ref=ref, bodies=(b"shared", ref.name.encode())))
        await store.commit(setting(secret("S"), ref=ref))
        await store.commit(editing(ref, stamp=stamp(), settings=SettingsUpdate(b'{"a":1}')))
        await store.commit(deploying(((await store.versions(ref))[0].id, 100.0), ref=ref))
    contents = []
    for ref in (REF, other, foreign):
        await store.commit(removing(ref))
        contents.append(query(path, "SELECT count(*) FROM contents")[0][0])

    tables = ("scripts", "versions", "uploads", "modules", "bindings", "binding_history", "contents", "deployments")
    assert [query(path, f"SELECT count(*) FROM {table}")[0][0] for table in tables] == [0] * 8  # noqa: S608
    assert contents == [4, 2, 0]
    assert query(path, "SELECT count(*) FROM audit") == [(15,)]


async def test_equal_contents_are_stored_once(store: SqliteStore, path: Path) -> None:
    """Settings, secrets and equal code add no content; code that any version runs stays."""
    for new in (
        upload(bodies=(b"one", b"two", b"one")),
        setting(secret("S")),
        editing(stamp=stamp(), settings=SettingsUpdate(b'{"a":1}')),
        editing(stamp=stamp(deployed=False), upload=code(b"two", b"one")),
        upload(ref=ScriptRef(ACCOUNT, "other"), bodies=(b"two",)),
        upload(bodies=(b"three",)),
    ):
        await store.commit(new)
    before = query(path, "SELECT CAST(body AS TEXT) FROM contents ORDER BY rowid")

    await store.commit(removing())

    assert before == [("one",), ("two",), ("three",)]
    assert query(path, "SELECT CAST(body AS TEXT) FROM contents") == [("two",)]


async def test_a_change_of_settings_stores_no_modules(store: SqliteStore, path: Path) -> None:
    """A version of settings has a row of settings but no files; a version of a secret has neither."""
    await store.commit(upload(bodies=(b"one", b"two")))
    await store.commit(editing(stamp=stamp(), settings=SettingsUpdate(b'{"a":1}')))
    await store.commit(setting(secret("S")))

    assert query(path, "SELECT version, code_version FROM uploads ORDER BY version") == [(1, 1), (2, 1)]
    assert query(path, "SELECT number, upload_version FROM versions ORDER BY number") == [(1, 1), (2, 2), (3, 2)]
    assert query(path, "SELECT count(*) FROM modules") == [(2,)]


async def test_only_a_separate_deployment_has_a_row(store: SqliteStore, path: Path) -> None:
    """Versions that are deployed when they are made need no row of deployments."""
    await store.commit(upload())
    await store.commit(setting(secret("S")))
    first = (await store.versions(REF))[-1]
    for share in (100.0, 99.0):
        await store.commit(deploying((first.id, share), force=True))
    await store.commit(setting(secret("S")))
    await store.commit(deploying((first.id, 100.0), force=True))

    assert query(path, "SELECT newest_version, place FROM deployments ORDER BY rowid") == [(2, 3), (2, 4), (3, 6)]


async def test_a_secret_write_takes_few_statements(store: SqliteStore) -> None:
    """A secret write is three reads and one row each for history, bindings, versions, script and audit log.

    Its group commit reads the log's head, writes one row of statements, and advances the head.
    """
    await store.commit(upload(secret("S")))
    statements: list[str] = []
    db = store._writer._db
    assert db is not None
    db.set_trace_callback(statements.append)

    await store.commit(editing(stamp=stamp(), set=(secret("S"),), must_be_live=Code.SECRET_NOT_LIVE))

    verbs = [" ".join(statement.split()[: 3 if "INTO" in statement else 1]) for statement in statements]
    assert verbs == [
        "BEGIN",
        "SELECT",
        "SAVEPOINT",
        "SELECT",
        "SELECT",
        "SELECT",
        "INSERT INTO binding_history",
        "UPDATE",
        "INSERT INTO versions",
        "UPDATE",
        "INSERT INTO audit",
        "RELEASE",
        "INSERT INTO log_groups",
        "UPDATE",
        "COMMIT",
    ]


async def test_a_replaced_secret_is_indexed_by_its_new_key(store: SqliteStore, path: Path) -> None:
    """The index of keys follows a secret that is put under another key, also when its kind changes."""
    under = "SELECT name, kind FROM bindings INDEXED BY bindings_by_key WHERE account_id = ? AND key_id = ?"
    await store.commit(upload(secret("S"), secret("T")))
    changed = replace(secret("S", "secret_key"), key_id="key-2")
    await store.commit(setting(changed, secret("T")))

    with closing(sqlite3.connect(path)) as db:
        found = [db.execute(under, (ACCOUNT, key)).fetchall() for key in ("key-1", "key-2")]
        assert [("ok",)] == db.execute("PRAGMA integrity_check").fetchall()
    assert [[("T", "secret_text")], [("S", "secret_key")]] == found


@pytest.mark.parametrize(
    ("sql", "key"),
    [
        (scripts._SHOWN, "account_id=? AND namespace=? AND script=? AND name=?"),
        (rows.VERSION_BY_ID, "versions_by_id (<expr>=?)"),
        (rows.VERSION_NUMBER, "versions_by_id (<expr>=?)"),
        (scripts._VERSIONS, "account_id=? AND script_id=?"),
        (rows.DEPLOYMENTS, "account_id=? AND script_id=?"),
        (bundles._AUDIT_HEAD, "audit_of_account (account_id=?)"),
        (bundles._VERSION_PLACE, "account_id=? AND script_id=? AND number=?"),
        (script_rows._HEAD, "account_id=? AND namespace=? AND name=?"),
        (content_reads._CONTENT, "account_id=? AND digest=?"),
    ],
)
async def test_reads_of_a_script_use_an_index(store: SqliteStore, path: Path, sql: str, key: str) -> None:
    """Reads of a script use an index, and return rows in its order without sorting."""
    assert store is not None
    with closing(sqlite3.connect(path)) as db:
        plan = db.execute(f"EXPLAIN QUERY PLAN {sql}", ("x",) * (3 if "?3" in sql else sql.count("?"))).fetchall()

    steps = [step for *_, step in plan]
    assert key in next(step for step in steps if "INDEX" in step)
    assert [step for step in steps if "SCAN" in step or "TEMP" in step] == []


@pytest.mark.parametrize(
    "sql",
    [
        bundles._BOUND_TO_STORES,
        *sealed_values._NEXT_KEYS,
        *sealed_values._COUNTS,
        *sealed_values._PAGES.values(),
        *sealed_values._VALUES.values(),
        *safe_rows._USES,
        *safe_rows._SINCE.values(),
        *safe_rows._RESEAL.values(),
    ],
)
async def test_a_rotation_scans_no_table(store: SqliteStore, path: Path, sql: str) -> None:
    """Every statement of a rotation uses an index or the row number."""
    assert store is not None
    with closing(sqlite3.connect(path)) as db:
        plan = db.execute(f"EXPLAIN QUERY PLAN {sql}", ("x",) * sql.count("?")).fetchall()
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}

    steps = [step for *_, step in plan]
    aliases = tables | {"t", "s", "h"}
    assert any(step.startswith("SEARCH") for step in steps)
    assert [] == [step for step in steps if step.startswith("SCAN") and step.split()[1] in aliases]


async def test_removed_values_are_not_in_the_file(store: SqliteStore, path: Path) -> None:
    """After a removal and the end of the log, the file's free space holds no sealed value."""
    values = [bytes([65 + number]) * 300 for number in range(26)]
    await store.commit(upload(*(secret(f"S{n}", sealed=value) for n, value in enumerate(values))))
    await store.commit(setting(*(secret(f"S{n}") for n in range(26))))
    await store.commit(removing())
    await store.close()

    kept = content(path)

    assert [value[:1] for value in values if value[:64] in kept] == []


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(CHANGES, max_size=12))
def test_the_counter_equals_the_number_of_variables(tmp_path: Path, changes: list[Change]) -> None:
    """After any history the script's counter equals the number of its secrets, text and JSON variables."""

    async def history() -> None:
        """Make one history, and check the counter after each change."""
        path = tmp_path / "safe" / "store.db"
        store = open_store(path)
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
