"""A database with rows of every kind, written through the API, and copies of it to change."""

import sqlite3
import uuid
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.stores import IDENTITY_KEY, SIGNING_KEY
from tests.unit.api.tools.driver import ACCOUNT, MODULE, Api, File, form, form_type, script_at, secrets_of
from tests.unit.api.tools.rotation import Rotation, text, with_values

from nightsafe.audit.verification.database_check import Verified, verify_database
from nightsafe.cli.safe.database_copy import copy_database
from nightsafe.merkle.checkpoint import Checkpoint
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.services.identity.administration import issue_token
from nightsafe.services.key_rotation.resealing import location_of_value

KEYS: Final = VerifyKeys([SIGNING_KEY.verify_key])
NAMESPACES: Final = f"/client/v4/accounts/{ACCOUNT}/workers/dispatch/namespaces"


def fill(folder: Path, secrets: int = 230) -> bytes:
    """Write rows of every kind, and return the bytes of the database.

    Args:
        folder: an empty folder.
        secrets: how often to put one secret; by default so often that the log has a full tile.
    """
    with Api(folder) as api:
        rotation = with_values(api, folder)
        _write_scripts(api)
        _write_identities(api)
        for number in range(secrets):
            assert api.put("many", text("N", str(number))).status == 200
        _rotate(rotation)
        copy_database(api.path, folder / "copy.db")
    return (folder / "copy.db").read_bytes()


def fill_directory(folder: Path) -> Path:
    """Make a data directory with rows of every kind in an empty folder, and return it."""
    data = folder / "safe of the tests"
    data.mkdir(mode=0o700)
    (data / "nightsafe.db").write_bytes(fill(folder, secrets=3))
    (data / "nightsafe.db").chmod(0o600)
    (data / "keys").mkdir(mode=0o700)
    SIGNING_KEY.save(data / "keys" / "signing-key.json")
    IDENTITY_KEY.save(data / "keys" / "identity-key.json")
    KEYS.save(data / "keys" / "verify-keys.json")
    PublicRing.load(folder / "public.json").save(data / "keys" / "public-ring.json")
    return data


def _write_scripts(api: Api) -> None:
    """Write scripts with several modules, settings, triggers, deployments; delete one script and one secret."""
    metadata = {
        "main_module": "a.js",
        "compatibility_date": "2026-01-01",
        "annotations": {"workers/message": "why"},
        "bindings": [{"type": "plain_text", "name": "P", "text": "plain"}, text("S", "of-the-upload")],
    }
    for name in ("worker", "many", "short-lived"):
        assert api.upload(name, metadata, File("a.js"), File("b.js", b"export const b = 1", MODULE)).status == 200
    assert api.send("DELETE", script_at("short-lived")).status == 200
    assert api.send("DELETE", f"{secrets_of('worker')}/S").status == 200
    assert api.json("POST", f"{script_at('worker')}/subdomain", {"enabled": True}).status == 200
    assert api.json("PATCH", f"{script_at('worker')}/script-settings", {"tags": ["a"]}).status == 200
    newest, older, *_ = [str(uuid.UUID(bytes=one.id)) for one in api.run(api.store.versions(api.ref("worker")))]
    for shares in ([(newest, 90), (older, 10)], [(newest, 100)], [(newest, 75), (older, 25)]):
        versions = [{"version_id": version_id, "percentage": share} for version_id, share in shares]
        deployment = {"strategy": "percentage", "versions": versions}
        assert api.json("POST", f"{script_at('worker')}/deployments?force=true", deployment).status == 200
    assert api.json("POST", NAMESPACES, {"name": "space"}).status == 200
    body = form(
        File("metadata", b'{"main_module": "worker.js"}', "application/json", as_file=False), File("worker.js")
    )
    assert api.send("PUT", f"{NAMESPACES}/space/scripts/tenant", body, [form_type()]).status == 200
    assert api.json("PUT", f"{NAMESPACES}/space/scripts/tenant/secrets", text("T", "of-the-tenant")).status == 200


def _write_identities(api: Api) -> None:
    """Create tokens, and delete one of them."""
    owner = api.run(api.store.members(ACCOUNT))[0].user_id
    tokens = [api.run(issue_token(api.store, ACCOUNT, owner, name)) for name in ("kept", "deleted")]
    assert api.send("DELETE", f"/client/v4/user/tokens/{tokens[1].id}").status == 200


def _rotate(rotation: Rotation) -> None:
    """Reseal every value to another key."""
    rotation.rotate()
    assert rotation.reseal().resealed


def opened(database: bytes) -> sqlite3.Connection:
    """Return a copy of a database in memory."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.deserialize(database)
    return db


def change(db: sqlite3.Connection, *statements: str) -> None:
    """Change a database like an attacker who can write to its file, and leave no trace in its schema."""
    triggers = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        db.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        assert db.execute(statement).rowcount != 0, f"the attack changes nothing: {statement}"
    for _, sql in triggers:
        db.execute(sql)


def verify(db: sqlite3.Connection, known: Checkpoint | None = None, keys: VerifyKeys = KEYS) -> Verified:
    """Verify a database."""
    return verify_database(db, keys, known, lambda value: location_of_value(value).signed, lambda _: None)


def newest_checkpoint(database: bytes) -> Checkpoint:
    """Return the checkpoint of a database."""
    with closing(opened(database)) as db:
        return KEYS.open_checkpoint(db.execute("SELECT checkpoint FROM log_head").fetchone()[0])
