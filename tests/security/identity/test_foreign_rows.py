"""Attacks on credentials with write access to the database, beside a server that uses it."""

import asyncio
import sqlite3
import tarfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.clients.tokens import READ, in_store, make_account, make_token, policy
from tests.clients.wire.talk import SCRIPTS, Headers, Wire, token_header
from tests.older_safe import TABLES, drop_macs
from tests.security.tools.planted_server import Planted
from tests.server import ACCOUNT, Safe, Server, make_safe, run
from tests.stores import IDENTITY_KEY
from tests.unit.store.test_identity_macs import IDENTITIES

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.errors import NightsafeError
from nightsafe.identity.credentials import digest, new_key, new_service_key, new_token
from nightsafe.identity.permissions import ALL_ACCESS
from nightsafe.identity.policy import policies_for
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.services.identity.administration import Credentials, create_account, create_user
from nightsafe.services.identity.operator import add_member, revoke_token
from nightsafe.store.identity_macs import IdentityMacs, message_of
from nightsafe.store.interface import Store

_COLUMNS = "name, status, policies, issued_on, modified_on, not_before, expires_on, account_id, condition"
_ALL = policies_for(ACCOUNT, ALL_ACCESS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a running server; tests add credentials of their own."""
    with Server(make_safe(tmp_path_factory.mktemp("foreign"))) as server:
        yield server


def meddle(safe: Safe, statement: str, *parameters: object) -> None:
    """Execute a statement on the database of a running server; it must change a row."""
    with closing(sqlite3.connect(safe.database, timeout=30, isolation_level=None)) as db:
        assert 1 == db.execute(statement, parameters).rowcount


def _inserted(safe: Safe, mac: str) -> str:
    """Insert a token with the rights of the owner's; return it."""
    made = new_token()
    statement = f"INSERT INTO tokens (id, digest, user_id, mac, {_COLUMNS}) SELECT ?, ?, user_id, {mac}, {_COLUMNS} "
    meddle(safe, f"{statement} FROM tokens WHERE digest = ?", uuid.uuid4().hex, digest(made), digest(safe.api_token))
    return made


def _changed(safe: Safe, column: str, value: object, mac: str = "mac", **columns: object) -> str:
    """Make a token with these columns, change one of them in the database, and return the token."""
    made, row = make_token(safe, policy(READ, account_id=ACCOUNT), **columns)
    meddle(safe, f"UPDATE tokens SET {column} = ?, mac = {mac} WHERE id = ?", value, row.id)  # noqa: S608
    return made


_OWNERS = "(SELECT mac FROM tokens WHERE name = 'owner')"
FORGED_TOKENS: dict[str, Callable[[Safe], str]] = {
    "inserted": lambda safe: _inserted(safe, "x''"),
    "inserted with another's MAC": lambda safe: _inserted(safe, "mac"),
    "more rights": lambda safe: _changed(safe, "policies", _ALL),
    "enabled": lambda safe: _changed(safe, "status", "active", status="disabled"),
    "enabled with another's MAC": lambda safe: _changed(safe, "status", "active", _OWNERS, status="disabled"),
    "never expires": lambda safe: _changed(safe, "expires_on", None, expires_on=1),
    "valid now": lambda safe: _changed(safe, "not_before", None, not_before=2**52),
    "from everywhere": lambda safe: _changed(
        safe, "condition", b"{}", condition=b'{"request_ip":{"in":["192.0.2.0/24"]}}'
    ),
    "of another account": lambda safe: _changed(safe, "account_id", ACCOUNT, account_id="b" * 32),
    "of another user": lambda safe: _changed(safe, "user_id", "0" * 32),
}


def refusal(server: Server, credentials: Headers) -> tuple[int, list[int]]:
    """Return the refusal of a request for the account's scripts with these credentials."""
    with Wire(server.port) as wire:
        return wire.ask("GET", SCRIPTS, credentials=credentials).refusal


@pytest.mark.parametrize("name", FORGED_TOKENS)
def test_a_forged_token_is_unknown(server: Server, name: str) -> None:
    """With write access to the database, an attacker can delete a record or a credential, put an older state of a
    credential back, or show an older state of a script to a delivery process that has not served a newer one, but
    cannot change what a script is delivered with, move a record to another place, forge one, or give anybody other
    rights.

    A row of a token that was inserted, copied or changed is refused like a token that does not exist.
    """
    unknown = refusal(server, token_header(new_token()))
    made = FORGED_TOKENS[name](server.safe)

    assert 403 == unknown[0]
    assert unknown == refusal(server, token_header(made))
    while "identity.row_refused" not in server.stderr.read_text():  # the server writes its log in the background
        time.sleep(0.01)


def key_headers(email: str, key: str) -> Headers:
    """Return the headers of a Global API key."""
    return [("X-Auth-Email", email), ("X-Auth-Key", key)]


@pytest.mark.parametrize("column", ["key_digest", "service_key_digest"])
def test_a_users_changed_key_is_unknown(server: Server, column: str) -> None:
    """A row without its MAC is no token, user, membership or account.

    A user whose key or service key was exchanged in the database is refused like a key that does not exist, with the
    new key and with the old one.
    """
    made = make_account(server.safe)
    new = new_key() if column == "key_digest" else new_service_key()
    meddle(server.safe, f"UPDATE users SET {column} = ? WHERE email = ?", digest(new), made.email)  # noqa: S608
    service = column == "service_key_digest"
    given = [("X-Auth-User-Service-Key", new)] if service else key_headers(made.email, new)
    unknown = [("X-Auth-User-Service-Key", new_service_key())] if service else key_headers(made.email, new_key())

    assert refusal(server, unknown) == refusal(server, given)
    assert refusal(server, key_headers("nobody@example.com", new_key())) == refusal(
        server, key_headers(made.email, made.api_key)
    )


@pytest.mark.parametrize("way", ["inserted", "copied", "changed"])
def test_a_forged_membership_gives_nothing(server: Server, way: str) -> None:
    """A row without its MAC is no token, user, membership or account.

    A membership that was inserted, copied from another member or given more rights does not let a user in.
    """
    safe, email = server.safe, f"{uuid.uuid4().hex}@example.com"

    async def job(store: Store) -> tuple[str, str]:
        """Create a user, who may only read memberships; return the user's id and key."""
        made = await create_user(store, email)
        if way == "changed":
            await add_member(store, made.user_id, ACCOUNT, [])
        return made.user_id, made.api_key

    user_id, key = in_store(safe, job)
    before = refusal(server, key_headers(email, key))
    if way == "changed":
        statement = "UPDATE memberships SET policies = ? WHERE account_id = ? AND user_id = ?"
        meddle(safe, statement, _ALL, ACCOUNT, user_id)
    else:
        mac = "mac" if way == "copied" else "x''"
        statement = "INSERT INTO memberships (policies, account_id, user_id, created_on, mac) "
        statement += (
            f"SELECT policies, account_id, ?, created_on, {mac} FROM memberships WHERE account_id = ? LIMIT 1"  # noqa: S608
        )
        meddle(safe, statement, user_id, ACCOUNT)

    assert 403 == before[0]
    assert before == refusal(server, key_headers(email, key))


def test_a_forged_account_is_not_listed(server: Server) -> None:
    """A row without its MAC is no token, user, membership or account.

    An account that was inserted is in no list, and no command takes it for the oldest account.
    """
    made, _ = make_token(server.safe, policy(ALL_ACCESS, account_id="*"))
    meddle(server.safe, "INSERT INTO accounts (id, name, created_on) VALUES (?, 'Forged', 0)", "c" * 32)
    with Wire(server.port, token_header(made)) as wire:
        listed = wire.ask("GET", "/client/v4/accounts").result

    assert ACCOUNT in {account["id"] for account in listed}
    assert "c" * 32 not in {account["id"] for account in listed}
    assert "c" * 32 not in {account.id for account in in_store(server.safe, lambda store: store.accounts())}


def test_a_deleted_row_can_come_back(server: Server) -> None:
    """An attacker with write access to the database can put an older row of a token, user, membership or account
    back, with its MAC, and it counts again.
    """
    made, row = make_token(server.safe, user_id=_owner(server.safe))
    with closing(sqlite3.connect(server.safe.database)) as db:
        kept = db.execute("SELECT * FROM tokens WHERE id = ?", (row.id,)).fetchone()
    in_store(server.safe, lambda store: revoke_token(store, row.id))
    assert 403 == refusal(server, token_header(made))[0]
    meddle(server.safe, f"INSERT INTO tokens VALUES ({', '.join('?' * len(kept))})", *kept)  # noqa: S608

    with Wire(server.port, token_header(made)) as wire:
        assert 200 == wire.ask("GET", SCRIPTS).status


def _owner(safe: Safe) -> str:
    """Return the id of the owner's user."""
    with closing(sqlite3.connect(safe.database)) as db:
        return str(db.execute("SELECT id FROM users WHERE email = ?", (safe.email,)).fetchone()[0])


def test_every_row_has_a_mac(planted: Planted) -> None:
    """Each row of a token, user, membership or account has an HMAC-SHA-256 of all its columns, under a key that is
    not in the database.
    """
    directory = DataDirectory(planted.safe.path)
    key = directory.load_identity_key()
    with closing(sqlite3.connect(planted.safe.database)) as db:
        macs = [mac for table in TABLES for (mac,) in db.execute(f"SELECT mac FROM {table}")]  # noqa: S608
    written = b"".join(path.read_bytes() for path in planted.safe.path.glob("nightsafe.db*"))

    assert {32} == {len(mac) for mac in macs}
    assert len(macs) == len(set(macs)) > 3
    assert key._key not in written
    for identity in IDENTITIES.values():
        for field in identity.__struct_fields__:
            assert repr(getattr(identity, field)).strip("b'").encode() in message_of(identity)


def test_a_backup_makes_credentials(server: Server, tmp_path: Path) -> None:
    """With a `nightsafe backup` file and write access to the database, an attacker can put values of the attacker's
    choice in any place, and make credentials with any rights, but cannot read a value.

    The backup contains the identity key, with which the attacker makes the MAC of a token.
    """
    file, made = tmp_path / "backup.tar", new_token()
    assert 0 == run("backup", str(file), "--data", str(server.safe.path), cwd=tmp_path).returncode
    with tarfile.open(file) as archive:
        key = IdentityKey.decode(archive.extractfile("keys/identity-key.json").read())  # type: ignore[union-attr]
    _, row = make_token(server.safe, policy(READ, account_id=ACCOUNT), user_id=_owner(server.safe))
    forged = replace(row, digest=digest(made), policies=_ALL)
    statement = "UPDATE tokens SET digest = ?, policies = ?, mac = ? WHERE id = ?"
    meddle(server.safe, statement, forged.digest, forged.policies, IdentityMacs(key).make(forged), row.id)

    with Wire(server.port, token_header(made)) as wire:
        assert 200 == wire.ask("GET", SCRIPTS).status


@pytest.fixture
def closed(tmp_path: Path) -> tuple[DataDirectory, Credentials]:
    """Return a safe that no process uses, and its credentials."""

    async def fill(store: Store) -> Credentials:
        """Write the first rows."""
        return await create_account(store, ACCOUNT, "Home", "me@example.com")

    directory = DataDirectory(tmp_path / "safe")
    return directory, asyncio.run(directory.create(fill))


def counted(directory: DataDirectory, token: str) -> bool:
    """Open a safe and return whether a token is known there."""
    return directory.run(lambda store: store.token(digest(token))) is not None


def test_an_older_database_repeats_no_migration(closed: tuple[DataDirectory, Credentials]) -> None:
    """Only a safe that never had an identity key accepts rows without MACs, once, when it is first opened.

    The database does not decide this. It gets the schema of an older safe again, with a token of the attacker's.
    """
    directory, made = closed
    drop_macs(directory.database)
    forged = new_token()
    with closing(sqlite3.connect(directory.database, isolation_level=None)) as db:
        db.execute("UPDATE tokens SET digest = ?", (digest(forged),))

    assert not counted(directory, forged)
    assert not counted(directory, made.api_token)


def test_the_first_opening_accepts_rows(closed: tuple[DataDirectory, Credentials]) -> None:
    """When a safe from before the identity key is first opened, its rows are accepted as they are."""
    directory, _ = closed
    drop_macs(directory.database)
    directory.identity_key.unlink()
    forged = new_token()
    with closing(sqlite3.connect(directory.database, isolation_level=None)) as db:
        db.execute("UPDATE tokens SET digest = ?", (digest(forged),))

    assert counted(directory, forged)


def test_a_lost_key_accepts_nothing(closed: tuple[DataDirectory, Credentials]) -> None:
    """A safe that has lost its identity key is not opened until an operator restores the key or accepts the rows."""
    directory, made = closed
    directory.identity_key.unlink()
    with pytest.raises(NightsafeError, match="is missing, and without it no token"):
        counted(directory, made.api_token)
    IDENTITY_KEY.save(directory.identity_key)

    assert not counted(directory, made.api_token)
