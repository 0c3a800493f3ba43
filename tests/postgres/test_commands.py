"""The commands on a safe in PostgreSQL: how it is made, found and served, and what they refuse."""

import asyncio
import json
import os
import secrets
import shutil
import signal
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace
from tests import server
from tests.clients.wire.talk import Wire
from tests.live.tools.running import HELLO, Run, children, secret, until, upload
from tests.postgres.server import PostgresServer
from tests.server import ACCOUNT, Safe, Server, run

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.settings.store_option import _STORE
from nightsafe.store.interface import Store

_PASSWORD = "Qx7canary"


class Database:
    """An empty database with an owner that has a password, and the folder of a test.

    Args:
        postgres: the server.
        folder: the folder.
    """

    def __init__(self, postgres: PostgresServer, folder: Path) -> None:
        self.server, self.folder, self.name = postgres, folder, f"safe_{secrets.token_hex(4)}"
        self.owner = f"owner_{self.name}"
        postgres.execute(f"CREATE ROLE {self.owner} LOGIN PASSWORD '{_PASSWORD}'")
        postgres.execute(f"CREATE DATABASE {self.name} OWNER {self.owner} TEMPLATE template0")

    def url(self, role: str = "", password: str = "") -> str:
        """Return the URL of the database over TCP."""
        who = f"{role or self.owner}{f':{password}' if password else ''}"
        return f"postgresql://{who}@127.0.0.1:{self.server.port}/{self.name}?allow_fsync_off=yes"

    def init(self, *options: str, **environ: str) -> Safe:
        """Make a safe in the database by `nightsafe init`."""
        path = self.folder / "safe"
        words = ("init", "--data", str(path), "--account-id", ACCOUNT, "--json", *options)
        done = run(*words, cwd=self.folder, environ=environ)
        assert (done.returncode, done.stderr) == (0, "")
        return Safe(path=path, **json.loads(done.stdout))

    def tables(self) -> int:
        """Return how many tables the database has."""
        return int(self.server.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", self.name))


@pytest.fixture
def database(postgres: PostgresServer, tmp_path: Path) -> Iterator[Database]:
    """Yield an empty database."""
    made = Database(postgres, tmp_path)
    yield made
    postgres.execute(f"DROP DATABASE {made.name} WITH (FORCE)")


def _refusal(*words: str, cwd: Path, code: int = 1, **environ: str) -> str:
    """Return what a command that is refused prints on stderr, which never shows the password."""
    done = run(*words, cwd=cwd, environ=environ)
    assert done.returncode == code, done.stderr
    assert _PASSWORD not in done.stdout + done.stderr
    return " ".join(done.stderr.split())


def _put_and_get(running: Server) -> None:
    """Put a script and a secret, and read the secret."""
    at = f"{running.base_url}/accounts/{ACCOUNT}/workers/scripts/worker"
    headers = {"authorization": f"Bearer {running.safe.api_token}"}
    with httpx.Client(headers=headers, timeout=30) as client:
        script = {
            "metadata": (None, json.dumps({"main_module": "w.js"}), "application/json"),
            "w.js": ("w.js", "export default {}", "application/javascript+module"),
        }
        uploaded = client.put(at, files=script)
        assert uploaded.status_code == 200, uploaded.text
        secret = {"name": "KEY", "text": "value", "type": "secret_text"}
        assert client.put(f"{at}/secrets", json=secret).status_code == 200
        shown = client.get(f"{at}/secrets/KEY")
        assert shown.json()["result"] == {"name": "KEY", "type": "secret_text"}


def test_a_safe_in_postgresql_has_its_address_in_the_directory(database: Database) -> None:
    """`init --store` makes the tables and the keys; later commands find the database by `store-url` alone."""
    safe = database.init("--store", database.url())
    file = safe.path / "store-url"
    assert file.read_text() == f"{database.url()}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not safe.database.exists()
    for words in ("account list", "token list", "keys status", "audit list", "migrate --status"):
        done = run(*words.split(), "--data", str(safe.path), "--json", cwd=database.folder)
        assert (done.returncode, done.stderr) == (0, ""), words
    done = run("user", "create", "--email", "a@b.example", "--data", str(safe.path), cwd=database.folder)
    assert done.returncode == 0, done.stderr


def test_a_second_safe_in_a_database_is_refused(database: Database) -> None:
    """`init` refuses a database with a safe, and leaves the database and the directory as they were."""
    database.init("--store", database.url())
    refused = _refusal("init", "--data", "other", "--store", database.url(), cwd=database.folder)
    assert "name an empty database" in refused
    assert not (database.folder / "other").exists()
    done = run("account", "list", "--data", "safe", cwd=database.folder)
    assert done.returncode == 0


def test_a_failed_creation_leaves_nothing(database: Database) -> None:
    """When the first rows cannot be written, neither the tables nor the directory stay."""

    async def fail(_: Store) -> None:
        """Fail."""
        raise RuntimeError

    _STORE.set(database.url())
    try:
        with pytest.raises(RuntimeError):
            asyncio.run(DataDirectory(database.folder / "safe").create(fail))
    finally:
        _STORE.set(None)
    assert database.tables() == 0
    assert not (database.folder / "safe").exists()
    database.init("--store", database.url())


@pytest.mark.parametrize("command", ["init", "serve", "account list"])
def test_a_password_on_the_command_line_is_refused(database: Database, command: str) -> None:
    """A password in `--store` is refused with the ways to give it, because `ps` shows it."""
    refused = _refusal(*command.split(), "--store", database.url(password=_PASSWORD), cwd=database.folder, code=2)
    for way in ("NIGHTSAFE_STORE", "mode 0600", "passfile=FILE"):
        assert way in refused
    assert database.tables() == 0


def test_a_password_in_a_settings_file_is_refused(database: Database) -> None:
    """A settings file may be open to others, so it may name only a file with the address."""
    settings = database.folder / "settings.toml"
    settings.write_text(f'store = "{database.url(password=_PASSWORD)}"\n')
    assert "passfile=FILE" in _refusal("--config", str(settings), "init", cwd=database.folder, code=2)


def test_an_address_comes_from_the_variable_or_a_file(database: Database) -> None:
    """`NIGHTSAFE_STORE` takes a URL with a password, or the path of a file with one; `--store` takes such a path."""
    url = database.url(password=_PASSWORD)
    safe = database.init(NIGHTSAFE_STORE=url)
    assert (safe.path / "store-url").read_text() == f"{url}\n"
    (safe.path / "store-url").rename(database.folder / "address")
    words = ("account", "list", "--data", str(safe.path))
    assert "there is no safe" in _refusal(*words, cwd=database.folder)
    assert run(*words, cwd=database.folder, environ={"NIGHTSAFE_STORE": "address"}).returncode == 0
    assert run(*words, "--store", "address", cwd=database.folder).returncode == 0
    (database.folder / "address").chmod(0o640)
    assert "chmod 600 address" in _refusal(*words, "--store", "address", cwd=database.folder)
    assert "cannot be read" in _refusal(*words, "--store", "absent", cwd=database.folder)
    assert "postgresql://ROLE@HOST/DATABASE" in _refusal(*words, "--store", "http://x", cwd=database.folder, code=2)


def test_two_databases_of_one_directory_are_refused(database: Database) -> None:
    """A directory with a SQLite database refuses an address, so that a variable cannot exchange the database."""
    safe = server.make_safe(database.folder)
    words = ("account", "list", "--data", str(safe.path))
    refused = _refusal(*words, cwd=database.folder, NIGHTSAFE_STORE=database.url())
    assert "there are two databases" in refused
    assert run(*words, cwd=database.folder).returncode == 0


def test_a_safe_in_postgresql_is_served(database: Database) -> None:
    """The confined API process reaches its database over TCP, under a host's address and under a name."""
    safe = database.init("--store", database.url())
    with Server(safe) as running:
        _put_and_get(running)
    with Server(safe, "--store", database.url().replace("127.0.0.1", "localhost")) as running:
        _put_and_get(running)


def test_a_database_at_a_unix_socket_is_served(database: Database) -> None:
    """The confined API process reaches its database by a Unix socket."""
    at_socket = database.server.at_socket(database.owner, database.name, allow_fsync_off="yes")
    with Server(database.init("--store", at_socket)) as running:
        _put_and_get(running)


def _family(pid: int) -> set[int]:
    """Return the ids of a process and of everything below it."""
    return {pid}.union(*(_family(child) for child in children(pid)))


def _shown(pid: int) -> bytes:
    """Return what the system shows of a process: its command line, and its environment unless that is hidden."""
    shown = Path(f"/proc/{pid}/cmdline").read_bytes()
    with suppress(PermissionError):
        shown += Path(f"/proc/{pid}/environ").read_bytes()
    return shown


def test_no_process_of_a_server_shows_the_password(database: Database) -> None:
    """No command line or environment of `serve --workers` and of the processes below it has the password.

    So it is with processes that are started again, and with the helper process of an audit sink. Each worker reaches
    the database.
    """
    safe = database.init(NIGHTSAFE_STORE=database.url(password=_PASSWORD))
    (safe.path / "store-url").unlink()
    variable, sink = {"NIGHTSAFE_STORE": database.url(password=_PASSWORD)}, (database.folder / "sink").as_uri()
    with Server(safe, "--workers", "2", "--audit-sink", sink, environ=variable, cold=True) as running:
        _put_and_get(running)
        before = _family(running.pid)
        assert len(before) > 3
        os.kill(min(children(running.pid)), signal.SIGKILL)
        until(lambda: "api.started" in running.stderr.read_text())
        _put_and_get(running)
        for pid in before | _family(running.pid):
            with suppress(FileNotFoundError, ProcessLookupError):  # it was killed
                assert _PASSWORD.encode() not in _shown(pid)
    assert _PASSWORD not in running.stderr.read_text()


def test_no_process_of_a_run_shows_the_password(database: Database) -> None:
    """No command line or environment of `run`, of its API process and of workerd has the password."""
    safe = database.init(NIGHTSAFE_STORE=database.url(password=_PASSWORD))
    (safe.path / "store-url").unlink()
    with Run(safe, environ={"NIGHTSAFE_STORE": database.url(password=_PASSWORD)}, cold=True) as running:
        with Wire.to(running) as wire:
            upload(wire, "worker", HELLO, secret("TOKEN", "value"))
        until(lambda: running.workers.get("worker").text == "value")
        family = _family(running.pid)
        assert running.child("workerd") in family
        assert not [pid for pid in family if _PASSWORD.encode() in _shown(pid)]


def test_workers_take_the_store_of_the_command_line(database: Database) -> None:
    """`--store` of `serve --workers` is given on to the API processes."""
    safe = database.init("--store", database.url())
    (safe.path / "store-url").unlink()
    with Server(safe, "--workers", "2", "--store", database.url(), "--store-patience", "3") as running:
        _put_and_get(running)


def test_the_serving_role_suffices_to_serve(database: Database) -> None:
    """A server works with a role that has only the rights that `store grants` prints, and cannot migrate with it."""
    safe, role = database.init("--store", database.url()), f"serving_{database.name}"
    database.server.execute(f"CREATE ROLE {role} LOGIN")
    words = ("store", "grants", "--role", role, "--data", str(safe.path))
    database.server.execute(run(*words, cwd=database.folder).stdout, database.name)
    (safe.path / "store-url").write_text(database.url(role))
    with Server(safe) as running:
        _put_and_get(running)


def test_a_server_without_a_primary_does_not_start(database: Database) -> None:
    """`serve` waits as long as `--store-patience` says, then says that no primary has answered."""
    safe = database.init("--store", database.url())
    dead = database.url().replace(str(database.server.port), "1")
    words = ("serve", "--data", str(safe.path), "--port", "0", "--store", dead, "--store-patience", "0.2")
    refused = _refusal(*words, cwd=database.folder)
    assert "no primary of the database has answered for 0.2 s" in refused
    assert "run the command again" in refused


def test_a_node_that_is_retired_while_it_runs_is_not_ready(database: Database) -> None:
    """It answers changes and `/readyz` with a 503 that says what to do, and reads as before; other nodes go on."""
    first = database.init("--store", database.url())
    words = ("node", "add", "second", "--output", "second", "--data", str(first.path))
    assert run(*words, cwd=database.folder).returncode == 0
    second = replace(first, path=database.folder / "second")
    with Server(first) as one, Server(second) as other, Wire.to(one) as at_one, Wire.to(other) as at_other:
        assert [at_one.upload("worker").status, at_other.put("worker", "KEY").status] == [200, 200]
        assert at_other.ask("GET", "/readyz").status == 200
        retired = run("node", "retire", "second", "--data", str(first.path), cwd=database.folder)
        assert retired.returncode == 0, retired.stderr
        shutil.copy(first.path / "keys" / "verify-keys.json", second.path / "keys")

        for answer in (at_other.put("worker", "LATER"), at_other.ask("GET", "/readyz")):
            assert answer.refusal == (503, [10709])
            assert "this node was retired" in answer.messages[0]
            assert "of the node second: nothing was changed. Use another node" in answer.messages[0]
            assert answer.header("retry-after") is None
        assert [at_other.names("worker"), at_other.ask("GET", "/livez").status] == [["KEY"], 200]
        assert at_one.put("worker", "LATER").status == 200
        assert at_other.names("worker") == ["KEY", "LATER"]


def test_grants_need_a_database(tmp_path: Path) -> None:
    """`store grants` of a safe in SQLite says that it needs a database."""
    assert "name its database with --store" in _refusal("store", "grants", cwd=tmp_path)
