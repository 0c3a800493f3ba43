"""Three nodes of Nightsafe on one database, one on each machine of a cluster."""

import asyncio
import json
import shutil
import sys
from pathlib import Path
from typing import Final

import asyncpg
from tests.failover.client import Client
from tests.failover.cluster import DATABASE, Cluster, answers, wait_for
from tests.failover.machines import Machine
from tests.server import ACCOUNT, clean_environ, run

from nightsafe.sealing.signing_key import SigningKey

_PORT: Final = 8787


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

    def public_keys(self) -> list[bytes]:
        """Return the public keys with which the nodes sign."""
        keys = [self._data(machine) / "keys" / "signing-key.json" for machine in self._cluster.machines]
        return [SigningKey.load(key).public for key in keys]

    async def _create_database(self) -> None:
        """Create the database of the safe."""
        db: asyncpg.Connection = await self._cluster.connect("postgres")
        await db.execute(f"CREATE DATABASE {DATABASE}")
        await db.close()

    def _data(self, machine: Machine) -> Path:
        """Return the data directory of a machine's node."""
        return self._folder / f"node-{machine.name}"
