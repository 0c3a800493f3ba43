"""What a database in PostgreSQL, its roles and its connections give away."""

import asyncio
import secrets
import uuid
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import msgspec
import pytest
from tests.clients.wire.talk import Wire, token_header
from tests.live.tools.running import HELLO, secret, upload
from tests.postgres.server import PostgresServer
from tests.server import ACCOUNT, Safe, Server, make_safe, run

from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.credentials import digest, new_token
from nightsafe.services.delivery.other_nodes import Announcement, OtherNodes
from nightsafe.services.delivery.siblings import Follower, State
from nightsafe.store.postgres.engine.address import parse
from nightsafe.store.postgres.engine.connection import connect
from nightsafe.store.postgres.store import PostgresStore

_PASSWORD = "Qx7canary"
_FAST = "allow_fsync_off=yes"


@pytest.fixture(scope="module")
def database() -> Iterator[PostgresServer]:
    """Yield a database server of these tests."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def serving(database: PostgresServer, tmp_path: Path) -> Safe:
    """Return a safe in a database of its own, which a role with a password and the least rights serves."""
    name = f"safe_{secrets.token_hex(4)}"
    database.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    database.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{_PASSWORD}'")
    safe = make_safe(tmp_path, url=database.at_socket(database=name, allow_fsync_off="yes"))
    database.execute(run("store", "grants", "--role", name, "--data", str(safe.path), cwd=tmp_path).stdout, name)
    at = f"127.0.0.1:{database.port}/{name}"
    (safe.path / "store-url").write_text(f"postgresql://{name}:{_PASSWORD}@{at}?{_FAST}")
    return safe


def _name(safe: Safe) -> str:
    """Return the name of a safe's database."""
    return (safe.path / "store-url").read_text().rsplit("/", 1)[1].split("?")[0]


@pytest.mark.parametrize(
    "sql",
    [
        *("UPDATE audit SET entry = ''::bytea", "DELETE FROM audit", "UPDATE log_nodes SET hash = ''::bytea"),
        *("DELETE FROM log_groups", "DELETE FROM log_head", "TRUNCATE audit"),
        *("DELETE FROM accounts", "DELETE FROM users"),
        *("ALTER TABLE audit ADD COLUMN more TEXT", "DROP TABLE audit", "CREATE TABLE more (id BIGINT)"),
    ],
)
async def test_the_serving_role_only_adds_to_the_log(serving: Safe, sql: str) -> None:
    """The role that serves cannot change or delete an entry of the log, delete an account or a user, or change the
    form of a table.
    """
    db = await connect(parse((serving.path / "store-url").read_text()))
    try:
        assert await db.fetchval("SELECT count(*) FROM audit") > 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await db.execute(sql)
    finally:
        await db.close()


def test_the_password_is_not_shown(serving: Safe, database: PostgresServer) -> None:
    """The database's password is in no command line, log, error or answer of a node.

    Also while the database is away.
    """
    shown = []
    try:
        with Server(serving, "--workers", "2", "--store-patience", "0.2") as node, Wire.to(node) as wire:
            shown.append(str(upload(wire, "worker", HELLO, secret("TOKEN", "one"))))
            children = Path(f"/proc/{node.pid}/task/{node.pid}/children").read_text().split()
            shown += [Path(f"/proc/{pid}/cmdline").read_text() for pid in (str(node.pid), *children)]
            database.stop()
            away = wire.put("worker", "TOKEN", "two")
            assert away.status == 503
            shown += [str(away), str(wire.send("GET", "/readyz", None))]
            refused = run("token", "list", "--data", str(serving.path), cwd=serving.path.parent)
            shown += [refused.stdout, refused.stderr]
        shown += [node.stderr.read_text(), node.stdout.read_text()]
    finally:
        database.stop()
        database.start()
    assert not any(_PASSWORD in text for text in shown)


async def test_tls_is_the_default(database: PostgresServer) -> None:
    """A node connects to a database on another machine only by TLS that verifies the host, unless the address allows
    less.
    """
    assert parse("postgresql://ns@db.example/safe").sslmode == "verify-full"
    for mode in ("disable", "prefer", "require"):
        with pytest.raises(NightsafeError, match="allow_unverified=yes"):
            parse(f"postgresql://ns@db.example/safe?sslmode={mode}")
        assert parse(f"postgresql://ns@db.example/safe?sslmode={mode}&allow_unverified=yes").sslmode == mode
    with pytest.raises(NightsafeError, match="does not offer TLS"):  # this server speaks no TLS
        await connect(parse(f"postgresql://nightsafe@127.0.0.1:{database.port}/postgres?{_FAST}&sslmode=verify-full"))


async def test_a_server_that_could_lose_a_commit_is_refused(database: PostgresServer) -> None:
    """A node refuses a database server with `fsync` or `synchronous_commit` off, which could lose an answered
    write.
    """
    database.execute("CREATE ROLE hasty LOGIN; ALTER ROLE hasty SET synchronous_commit = off")
    for url, named in (
        (database.at_socket(), "fsync=on"),
        (database.at_socket("hasty", allow_fsync_off="yes"), "hasty"),
    ):
        with pytest.raises(NightsafeError, match=named) as caught:
            await connect(parse(url))
        assert caught.value.code is Code.STORE


def test_a_writer_of_the_database_gains_nothing(serving: Safe, database: PostgresServer) -> None:
    """An attacker with write access to the database in PostgreSQL can neither make a token nor give one other
    rights.
    """
    name, words = _name(serving), ("token", "create", "--data", str(serving.path))
    group = ("--permission", "Nightsafe Delivery")
    limited = run(*words, *group, "--name", "limited", cwd=serving.path.parent).stdout.strip()
    with Server(serving) as node, Wire.to(node) as wire:
        upload(wire, "worker", HELLO, secret("ONE", "one"), secret("TWO", "two"))
        assert [_listing(node, token) for token in (serving.api_token, limited)] == [200, 403]
        database.execute(
            "UPDATE tokens SET policies = (SELECT policies FROM tokens WHERE name <> 'limited')"
            " WHERE name = 'limited'",
            name,
        )
        wire.put("worker", "THREE", "three")
        assert _listing(node, limited) != 200
        made = new_token()
        columns = "account_id, user_id, name, status, policies, issued_on, modified_on, condition, mac"
        values = f"'{uuid.uuid4().hex}', '\\x{digest(made).hex()}'::bytea, {columns}"
        inserted = f"INSERT INTO tokens (id, digest, {columns}) SELECT {values} FROM tokens WHERE name <> 'limited'"  # noqa: S608 - our own
        database.execute(inserted, name)
        wire.put("worker", "FOUR", "four")
        assert _listing(node, made) != 200
        assert _listing(node, serving.api_token) == 200


def test_a_changed_value_is_named(serving: Safe, database: PostgresServer) -> None:
    """On PostgreSQL, `audit verify` names a value that was changed in the database."""
    with Server(serving) as node, Wire.to(node) as wire:
        upload(wire, "worker", HELLO, secret("ONE", "one"), secret("TWO", "two"))
    swapped = "UPDATE bindings SET sealed = (SELECT sealed FROM bindings WHERE name = 'TWO') WHERE name = 'ONE'"
    database.execute(swapped, _name(serving))
    verified = run("audit", "verify", "--data", str(serving.path), cwd=serving.path.parent)
    assert verified.returncode == 1
    assert "ONE" in verified.stdout + verified.stderr


def _listing(node: Server, token: str) -> int:
    """Return the status with which a token is answered that lists secrets."""
    path = f"/client/v4/accounts/{node.safe.account_id}/workers/scripts/worker/secrets"
    with Wire(node.port) as wire:
        return wire.ask("GET", path, b"", token_header(token)).status


async def test_any_role_can_announce(serving: Safe, database: PostgresServer) -> None:
    """The nodes of a database in PostgreSQL announce to each other, without a signature, how far delivery is. So any
    role that may connect to the database can delay the answers to writes by half a second, or have writes answered
    before they are delivered.
    """
    database.execute("CREATE ROLE stranger LOGIN")
    store = await PostgresStore.open(parse((serving.path / "store-url").read_text()))
    nodes, told = OtherNodes(store), asyncio.Event()
    nodes.start(State(node="own"), told.set)
    follower = Follower(account_id=ACCOUNT, process_id=("a", "b"), asked_at=0, last_request_at=0, acted_on=9**9)
    forged = msgspec.json.encode(Announcement(node="stranger", at=0, followers=(follower,))).decode()
    db = await connect(parse(database.at_socket("stranger", _name(serving), allow_fsync_off="yes")))
    while not told.is_set():
        await db.execute("SELECT pg_notify('nightsafe_nodes', $1)", forged)
        await asyncio.wait([asyncio.ensure_future(told.wait())], timeout=0.05)
    await db.close()
    await store.close()

    assert [9**9] == [one.acted_on for state in nodes.states() for one in state.followers]
