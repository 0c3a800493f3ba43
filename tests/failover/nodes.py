"""Three nodes of Nightsafe on one database, one on each machine of a cluster."""

import asyncio
import json
import shutil
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import asyncpg
from tests.failover.client import Client
from tests.failover.cluster import DATABASE, Cluster, answers, wait_for
from tests.failover.machines import Machine
from tests.server import ACCOUNT, clean_environ, run

from nightsafe.merkle.checkpoint import NoteKey, open_note
from nightsafe.merkle.tree import leaf_hash, root_of
from nightsafe.sealing.signing_key import SigningKey

_PORT: Final = 8787
_MADE: Final = """
SELECT b.script, b.name, b.since FROM bindings b WHERE b.script = ANY($1::text[])
UNION ALL
SELECT s.name, h.name, h.from_version FROM binding_history h JOIN scripts s ON s.id = h.script_id
WHERE s.name = ANY($1::text[])
"""
_VERSIONS: Final = """
SELECT s.name, count(*) FROM versions v JOIN scripts s ON s.id = v.script_id WHERE s.name = ANY($1::text[]) GROUP BY 1
"""


class Nodes:
    """The nodes. The first one's data directory was made by `nightsafe init`, the others' by `nightsafe node add`.

    Args:
        cluster: the cluster.
        folder: a folder for the data directories.
    """

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster = cluster
        self._folder = folder
        asyncio.run(self._create_database())
        store = {"NIGHTSAFE_STORE": cluster.url()}
        first, *others = (self._data(machine) for machine in cluster.machines)
        made = run("init", "--data", str(first), "--account-id", ACCOUNT, "--json", cwd=folder, environ=store)
        assert made.returncode == 0, made.stderr
        self._token: Final[str] = json.loads(made.stdout)["api_token"]
        for data in others:
            added = run("node", "add", data.name, "--data", str(first), "--output", str(data), cwd=folder)
            assert added.returncode == 0, added.stderr
        for data in others:
            shutil.copy(first / "keys" / "verify-keys.json", data / "keys" / "verify-keys.json")
        for machine in cluster.machines:
            self.start(machine)
        for machine in cluster.machines:
            self.wait_until_ready(machine)

    def start(self, machine: Machine) -> None:
        """Start a machine's node."""
        command = [sys.executable, "-m", "nightsafe", "serve", "--data", str(self._data(machine))]
        address = ["--host", machine.address, "--port", str(_PORT), "--plain-http"]
        limits = ["--rate-limit", "0", "--auth-failures", "0"]
        machine.start("node", [*command, *address, *limits], clean_environ(), as_root=True)

    def wait_until_ready(self, machine: Machine) -> None:
        """Return when a machine's node answers that it is ready."""
        url = f"http://{machine.address}:{_PORT}/readyz"
        wait_for(f"a node at {url}, see {machine.log('node')}", lambda: answers(url) or None)

    def client(self, number: int) -> Client:
        """Return a client that begins with one of the nodes."""
        return Client([(machine.address, _PORT) for machine in self._cluster.machines], number, self._token)

    async def made(self, scripts: list[str]) -> dict[tuple[str, str], list[int]]:
        """Return the versions that made each secret that these scripts have or had."""
        found: dict[tuple[str, str], list[int]] = defaultdict(list)
        for script, name, version in await self._rows(_MADE, scripts):
            found[script, name].append(version)
        return found

    async def versions(self, scripts: list[str]) -> dict[str, int]:
        """Return the number of versions of each script."""
        return dict(await self._rows(_VERSIONS, scripts))

    async def check_log(self) -> None:
        """Check that the log is one tree with a signed head, with exactly one entry for each version."""
        db = await self._cluster.connect(DATABASE)
        try:
            async with db.transaction(isolation="repeatable_read", readonly=True):
                entries = await db.fetch("SELECT seq, entry FROM audit ORDER BY seq")
                [(origin, note)] = await db.fetch("SELECT origin, checkpoint FROM log_head")
                versions = [row[0].hex() for row in await db.fetch("SELECT id FROM versions")]
        finally:
            await db.close()
        assert list(range(1, len(entries) + 1)) == [number for number, _ in entries]
        signers = [SigningKey.load(self._data(one) / "keys" / "signing-key.json") for one in self._cluster.machines]
        head = open_note(note, [NoteKey(origin, signer.public) for signer in signers])
        assert (len(entries), root_of([leaf_hash(entry) for _, entry in entries])) == (head.size, head.root)
        logged = [json.loads(entry).get("version_id") for _, entry in entries]
        assert sorted(versions) == sorted(version.replace("-", "") for version in logged if version)

    async def _rows(self, sql: str, scripts: list[str]) -> list[Any]:
        """Return the rows of a query about scripts."""
        db = await self._cluster.connect(DATABASE)
        try:
            return [tuple(row) for row in await db.fetch(sql, scripts)]
        finally:
            await db.close()

    async def _create_database(self) -> None:
        """Create the database of the safe."""
        db: asyncpg.Connection = await self._cluster.connect("postgres")
        await db.execute(f"CREATE DATABASE {DATABASE}")
        await db.close()

    def _data(self, machine: Machine) -> Path:
        """Return the data directory of a machine's node."""
        return self._folder / f"node-{machine.name}"
