"""The steps of deploy/README.md, carried out: a safe on PostgreSQL, three nodes, and a delivery process."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.clients.wire.talk import Wire
from tests.deploy.readme import blocks
from tests.live.tools.running import HELLO, Delivering, secret, surroundings, until, upload
from tests.postgres.server import PostgresServer, installed
from tests.server import ACCOUNT, Safe, Server, clean_environ, run

from nightsafe.client import Nightsafe

BASH = "/bin/bash"
NODES = ("first", "second", "third")
_PRINTED = re.compile(
    r"account id +(?P<account_id>\w{32})\s+API token +(?P<api_token>nst_\w+)\s+e-mail +(?P<email>\S+)\s+"
    r"Global API key +(?P<api_key>\w+)"
)
_HOSTS = re.compile(r"db1\.example,db2\.example,db3\.example/nightsafe\?\S*")


class Administrator:
    """A shell in an empty directory that carries out the page's blocks.

    Three things are replaced: the hosts of the database, the question for a password, because this server asks for
    none, and the new account's id, which the clients of the tests know.

    Args:
        folder: the directory.
        server: the database server.
    """

    def __init__(self, folder: Path, server: PostgresServer) -> None:
        self.folder, self._server = folder, server
        path = os.pathsep.join([str(Path(sys.executable).parent), str(installed() / "bin"), os.environ["PATH"]])
        at = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "nightsafe", "PGPASSWORD": "unused"}
        self._environ = clean_environ(PATH=path, **at)

    def run(self, block: str) -> None:
        """Run blocks in one shell; each of its commands must succeed, and print no password."""
        filled = _HOSTS.sub(f"127.0.0.1:{self._server.port}/nightsafe?allow_fsync_off=yes", block)
        filled = filled.replace("nightsafe init ", f"nightsafe init --account-id {ACCOUNT} ")
        filled = filled.replace("--pwprompt ", "").replace("--host=db1.example", "--host=127.0.0.1")
        done = subprocess.run(
            [BASH, "-euo", "pipefail", "-c", filled],
            cwd=self.folder,
            env=self._environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (block, done.stderr)
        assert "PASSWORD" not in done.stdout + done.stderr

    def safe(self, node: str) -> Safe:
        """Return a node's directory with the first credentials, in a folder of its own, as on its own machine."""
        printed = _PRINTED.search((self.folder / "credentials").read_text())
        assert printed is not None
        machine = self.folder.parent / f"machine-{node}"
        if not machine.exists():
            machine.mkdir()
            (self.folder / node).rename(machine / node)
        return Safe(path=machine / node, **printed.groupdict())


@pytest.fixture
def administrator(tmp_path: Path) -> Iterator[Administrator]:
    """Yield an administrator who has made the safe as the page says."""
    folder = tmp_path / "administrator"
    folder.mkdir()
    with PostgresServer() as server:
        # The page's role that serves has the name of this server's superuser, so a superuser of another name is made.
        server_admin = Administrator(folder, server)
        server_admin.run("createuser --superuser database_admin")
        server_admin._environ["PGUSER"] = "database_admin"
        server_admin.run('psql --dbname=postgres --command="ALTER ROLE nightsafe RENAME TO bootstrap"')
        server_admin.run("".join(blocks("Make the safe")))
        yield server_admin


class PageDelivering(Delivering):
    """`nightsafe deliver` with the files that the page makes for it, and nothing else.

    Args:
        folder: the directory of these files.
        api: the API's address.
    """

    def __init__(self, folder: Path, api: str) -> None:
        safe = Safe(path=folder, account_id="", api_token="", email="", api_key="")
        super().__init__(safe, environ=surroundings(), command="deliver")
        self.stdout, self.stderr = folder / "stdout.log", folder / "stderr.log"
        given = {"token-file": "token", "private-ring": "private-ring.json", "verify-keys": "verify-keys.json"}
        files = [word for name, file in given.items() for word in (f"--{name}", str(folder / file))]
        start = self._command[: self._command.index("--data")]
        self._command = [*start, "--api", api, *files, "--listen", "127.0.0.1:0"]


def _write(server: Server, number: int) -> str:
    """Put a secret through a node by the client, and return its name."""
    safe, name = server.safe, f"N{number:02}"
    with Nightsafe(base_url=server.base_url, api_token=safe.api_token) as client:
        client.workers.scripts.secrets.update(
            "worker", account_id=safe.account_id, name=name, text=f"value {number}", type="secret_text"
        )
    return name


def _names(server: Server) -> set[str]:
    """Return the names of the secrets that a node shows."""
    safe = server.safe
    with Nightsafe(base_url=server.base_url, api_token=safe.api_token) as client:
        shown = client.workers.scripts.secrets.list("worker", account_id=safe.account_id)
        return {one.name for one in shown}


def test_the_steps_of_the_page_lead_to_three_nodes(administrator: Administrator) -> None:
    """Three nodes with their own keys serve one safe with the least rights; one is retired and the others go on.

    All of 30 parallel writes over the three are shown by each, the log verifies, and delivery that follows one node
    serves what was written through another, with the private ring nowhere else.
    """
    folder = administrator.folder
    assert [folder / "deliver" / "private-ring.json"] == list(folder.rglob("private-ring.json"))
    assert all(
        file.stat().st_mode & 0o077 == 0 for file in folder.rglob("*") if file.name.endswith(("-url", "token"))
    )
    with ExitStack() as stack:
        nodes = [stack.enter_context(Server(administrator.safe(node))) for node in NODES]
        keys = {json.loads((n.safe.path / "keys" / "signing-key.json").read_text())["id"] for n in nodes}
        assert len(keys) == 3
        with Wire.to(nodes[0]) as wire:
            upload(wire, "worker", HELLO, secret("TOKEN", "one"))
        delivery = stack.enter_context(PageDelivering(folder / "deliver", nodes[0].base_url))
        until(lambda: delivery.workers.get("worker").text == "one")
        with ThreadPoolExecutor(10) as pool:
            written = set(pool.map(lambda number: _write(nodes[number % 3], number), range(30)))
        assert all(_names(node) == written | {"TOKEN"} for node in nodes)
        verified = run("audit", "verify", "--data", "admin", cwd=folder)
        assert verified.returncode == 0, verified.stderr

        nodes[2].stop()
        [retire] = blocks("Retire a node")
        administrator.run(retire)
        for place in (*(node.safe.path / "keys" for node in nodes), folder / "deliver"):
            shutil.copy(folder / "admin" / "keys" / "verify-keys.json", place)
        with Wire.to(nodes[1]) as wire:
            assert wire.put("worker", "TOKEN", "two").status == 200
        until(lambda: delivery.workers.get("worker").text == "two")
        refused = run("serve", "--port", "0", "--data", str(nodes[2].safe.path), cwd=folder)
        assert "retired" in refused.stderr
        verified = run("audit", "verify", "--data", "admin", cwd=folder)
        assert verified.returncode == 0, verified.stderr


def test_the_fourth_node_of_the_page_joins(administrator: Administrator) -> None:
    """The commands that add a node make a directory that serves, once the others know its key."""
    [add] = blocks("Add a node")
    administrator.run(add)
    first = administrator.safe("first")
    shutil.copy(administrator.folder / "admin" / "keys" / "verify-keys.json", first.path / "keys")
    with Server(first) as one, Server(administrator.safe("fourth")) as other:
        with Wire.to(one) as wire:
            upload(wire, "worker", HELLO)
        _write(other, 1)
        assert _names(one) == {"N01"}


def test_the_certificates_of_the_page_can_be_used(tmp_path: Path) -> None:
    """The commands make certificates that a strict client accepts for each host of the compose file."""
    made = next(block for block in blocks("Start with compose") if "openssl" in block)
    done = subprocess.run([BASH, "-euo", "pipefail", "-c", made], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    for name, host in (("postgres", "postgres"), ("node", "first"), ("node", "localhost")):
        check = [
            "/usr/bin/env",
            "openssl",
            "verify",
            "-x509_strict",
            "-CAfile",
            "ca.pem",
            "-verify_hostname",
            host,
            f"{name}.pem",
        ]
        checked = subprocess.run(check, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr
