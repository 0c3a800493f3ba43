"""`nightsafe migrate`: a safe from before its log is brought over, once."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.clients.tokens import in_store
from tests.engines.tools.changes import editing, secret, setting, stamp, upload
from tests.older_safe import drop_macs
from tests.server import Safe, make_safe, run

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.store.interface import Store
from nightsafe.store.scripts import ScriptRef


@pytest.fixture
def older(tmp_path: Path) -> Safe:
    """Return a safe from before its log, with a script of several versions and deployments."""
    safe = make_safe(tmp_path)

    async def fill(store: Store) -> None:
        """Upload and change a script in the safe's first account."""
        ref = ScriptRef(safe.account_id, "worker")
        await store.commit(upload(secret("S"), ref=ref))
        for _ in range(3):
            await store.commit(setting(secret("S"), ref=ref))
        await store.commit(editing(ref, stamp=stamp(deployed=False), set=(secret("T"),)))

    in_store(safe, fill)
    drop_macs(safe.database)
    DataDirectory(safe.path).identity_key.unlink()
    return safe


def migrate(safe: Safe, *options: str) -> dict[str, Any]:
    """Run the command, and return its object."""
    done = run("migrate", "--json", "--data", str(safe.path), *options, cwd=safe.path.parent)
    assert 0 == done.returncode
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def unstated(safe: Safe) -> int:
    """Return how many versions have no statement."""
    with closing(sqlite3.connect(safe.database)) as db:
        count: int = db.execute("SELECT count(*) FROM versions WHERE digest IS NULL").fetchone()[0]
        return count


def test_an_older_safe_is_brought_over_once(older: Safe) -> None:
    """Every version is stated, and after that no row can be passed off as older."""
    assert 0 == run("token", "list", "--data", str(older.path), cwd=older.path.parent).returncode  # upgrades it
    before = migrate(older, "--status")
    assert before["open"]
    assert unstated(older)

    done = migrate(older, "--yes")

    assert (0, False) == (done["older"], done["open"])
    assert done["statements"] >= 5
    assert 0 == unstated(older)
    assert not IdentityKey.load(DataDirectory(older.path).identity_key).states_older_rows
    assert migrate(older, "--status") == migrate(older, "--yes")
