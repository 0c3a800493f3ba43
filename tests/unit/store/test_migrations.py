"""Migrations of older databases to the newest schema."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.engines.tools.changes import deploying, editing, secret, stamp
from tests.engines.tools.refusals import refusal
from tests.engines.tools.stored import modules_of
from tests.stores import IDENTITY_KEY, SIGNING_KEY, open_store

from nightsafe.errors import Code
from nightsafe.store.identities import Account, Membership, Token, User
from nightsafe.store.script_edit import SettingsUpdate
from nightsafe.store.scripts import ScriptRef
from nightsafe.store.sqlite import SqliteStore
from nightsafe.store.sqlite.engine import schema
from nightsafe.store.sqlite.engine.connection import connect
from nightsafe.store.sqlite.identity_macs import make_all

OLD = ScriptRef("acc", "old")
OLD_ROWS = """
INSERT INTO scripts VALUES ('acc', '', 'old', 'tag', 10, 13, 3, 3, 2, 'wrangler', x'7b2261223a317d');
INSERT INTO versions VALUES
  ('acc', 'tag', 1, x'0101', x'd101', 11, 1, 'api', 'upload', 'u', 'e', x'7b7d'),
  ('acc', 'tag', 2, x'0202', x'd202', 12, 1, 'api', 'secret', 'u', 'e', x'7b7d'),
  ('acc', 'tag', 3, x'0303', x'd303', 13, 3, 'wrangler', 'upload', 'u', 'e', x'7b7d');
INSERT INTO uploads VALUES ('acc', 'tag', 1, 'main.js', 'etag-1', x'7b226e223a317d'),
  ('acc', 'tag', 3, 'main.js', 'etag-3', x'7b226e223a337d');
INSERT INTO modules VALUES ('acc', 'tag', 1, 0, 'main.js', 'text', x'0a'),
  ('acc', 'tag', 3, 0, 'main.js', 'text', x'0b');
INSERT INTO contents VALUES ('acc', x'0a', x'6f6e65'), ('acc', x'0b', x'74776f');
INSERT INTO bindings VALUES ('acc', '', 'old', 'S', 2, 'secret_text', x'7b7d', 'key', x'51');
INSERT INTO binding_history VALUES ('acc', 'tag', 2, 'S', 1, 'secret_text', x'7b7d', 'key', x'50');
PRAGMA user_version = 2;
"""
"""A script of the second schema: an upload, a secret, another upload."""


@pytest.fixture
async def old(path: Path) -> AsyncIterator[SqliteStore]:
    """Yield a store with that script, migrated to the newest schema."""
    path.parent.mkdir(mode=0o700)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript("".join(schema.migrations()[:2]) + OLD_ROWS)
    store = SqliteStore.open(path, signer=SIGNING_KEY)
    yield store
    await store.close()


def test_every_older_version_migrates_to_the_same_schema() -> None:
    """A database of any earlier version is migrated to the schema of a new one."""
    steps = schema.migrations()
    schemas = []
    for start in range(len(steps) + 1):
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
            db.executescript("".join(steps[:start]))
            db.execute(f"PRAGMA user_version = {start}")
            schema.migrate(db)
            schemas.append(db.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall())
            assert (len(steps),) == db.execute("PRAGMA user_version").fetchone()

    assert [schemas[0]] * len(schemas) == schemas


async def test_an_older_store_keeps_its_rows(path: Path) -> None:
    """A token and a user of the first schema have no condition and no service key after the migration."""
    path.parent.mkdir(mode=0o700)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(schema.migrations()[0])
        db.execute("PRAGMA user_version = 1")
        db.execute("INSERT INTO accounts VALUES ('a', 'Home', 1)")
        db.execute("INSERT INTO users VALUES ('u', 'Me@Example.com', x'01', 2, 'me@example.com')")
        db.execute("INSERT INTO memberships VALUES ('a', 'u', x'5b5d', 3)")
        db.execute("INSERT INTO tokens VALUES ('t', x'02', 'u', 'old', 'active', x'5b5d', 4, 5, NULL, 6)")
    token = Token(
        id="t", digest=b"\2", user_id="u", name="old", status="active", policies=b"[]", issued_on=4, modified_on=5,
        expires_on=6,
    )  # fmt: skip

    with closing(connect(path, 0)) as db:
        schema.migrate(db)
        make_all(db, IDENTITY_KEY)
    store = open_store(path)
    try:
        assert [Account("a", "Home", 1)] == await store.accounts()
        assert User("u", "Me@Example.com", b"\1", 2) == await store.user_by_email("me@example.com")
        assert [Membership("a", "u", b"[]", 3)] == await store.memberships("u")
        assert token == await store.token(b"\2")
        assert [token] == await store.tokens_of_user("u")
        assert ("", b"{}", None) == (token.account_id, token.condition, token.not_before)
    finally:
        await store.close()


async def test_an_older_script_keeps_its_versions(old: SqliteStore) -> None:
    """Every old version keeps its code, settings, secrets and deployment, and the newest is served alone."""
    script = await old.script(OLD)
    versions, deployments = await old.versions(OLD), await old.deployments(OLD)

    assert script is not None
    assert (script.version, script.live_version, script.etag, script.triggers) == (3, 3, "etag-3", b"{}")
    assert (script.settings, script.script_settings) == (b'{"n":3}', b'{"a":1}')
    assert [(3, b"\3\3", b'{"n":3}'), (2, b"\2\2", b'{"n":1}'), (1, b"\1\1", b'{"n":1}')] == [
        (version.number, version.id, version.settings) for version in versions
    ]
    assert [(b"\xd3\3", ((b"\3\3", 100.0),)), (b"\xd2\2", ((b"\2\2", 100.0),)), (b"\xd1\1", ((b"\1\1", 100.0),))] == [
        (deployment.id, deployment.versions) for deployment in deployments
    ]
    assert ["upload", "secret", "upload"] == [deployment.triggered_by for deployment in deployments]
    assert await old.count_deployments(OLD) == 3
    assert [b"one", b"one", b"two"] == [(await modules_of(old, OLD, number))[0].body for number in (1, 2, 3)]
    assert [b"P", b"Q", b"Q"] == [(await old.bindings(OLD, number))[0].sealed for number in (1, 2, 3)]


async def test_an_older_script_accepts_changes(old: SqliteStore) -> None:
    """An old script accepts secrets that must be live, new settings, and a rollback."""
    live = editing(OLD, stamp=stamp(), set=(secret("S"),), must_be_live=Code.SECRET_NOT_LIVE)
    assert (await old.commit(live)).version == 4
    assert (await old.commit(editing(OLD, stamp=stamp(), settings=SettingsUpdate(b'{"n":5}')))).version == 5
    assert [b"two"] == [module.body for module in await modules_of(old, OLD)]
    assert [(Code.SECRETS_CHANGED, "S")] == await refusal(old, deploying((b"\1\1", 100.0), ref=OLD))

    outcome = await old.commit(deploying((b"\1\1", 100.0), ref=OLD, force=True))

    assert outcome.deployment is not None
    assert (outcome.deployment.triggered_by, await old.count_deployments(OLD)) == ("rollback", 6)
    assert (await old.deployments(OLD))[0] == outcome.deployment


def test_a_failed_migration_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a step fails, the earlier steps of the same run are undone too."""
    steps = schema.migrations()
    monkeypatch.setattr(schema, "migrations", lambda: [*steps, "CREATE TABLE more (a);\nCREATE TABLE more (a);\n"])

    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        with pytest.raises(sqlite3.OperationalError, match="already exists"):
            schema.migrate(db)
        assert db.execute("SELECT name FROM sqlite_schema").fetchall() == []
        assert db.execute("PRAGMA user_version").fetchone() == (0,)
