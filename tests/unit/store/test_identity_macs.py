"""The MACs of identities: what they cover, and how a row without its MAC reads."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import count
from pathlib import Path

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs
from tests.older_safe import TABLES
from tests.stores import IDENTITY_KEY, open_store

from nightsafe.audit.entry import AuditEvent, entry_for
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.encoding import encode
from nightsafe.store.changes import Change
from nightsafe.store.identities import Account, Identity, Membership, RefusedRow, Token, User
from nightsafe.store.identity_macs import IdentityMacs, message_of
from nightsafe.store.interface import Store
from nightsafe.store.sqlite import SqliteStore
from nightsafe.store.sqlite.engine.connection import connect
from nightsafe.store.sqlite.identity_macs import refused_rows

IDENTITIES: dict[str, Identity] = {
    "accounts": Account("a", "Home", 1),
    "users": User("u", "me@example.com", b"key", 2, b"service"),
    "memberships": Membership("a", "u", b"[]", 3),
    "tokens": Token(
        id="t", digest=b"digest", user_id="u", name="n", status="active", policies=b"[]", issued_on=4, modified_on=5,
        not_before=6, expires_on=7, account_id="a", condition=b"{}",
    ),
}  # fmt: skip
COLUMNS = [(table, column) for table, row in IDENTITIES.items() for column in row.__struct_fields__]


def putting(*rows: Identity) -> Change:
    """Return a change that writes rows."""
    event = AuditEvent(at=0, action="tests.write", actor="", actor_kind="operator", account_id="a")
    return Change(at=0, audit=entry_for(event), put=rows)


async def seen(store: Store) -> set[str]:
    """Return the tables whose row any read finds."""
    found: dict[str, list[Identity | None]] = {
        "accounts": [await store.account("a"), *await store.accounts()],
        "users": [
            await store.user("u"),
            await store.user_by_email("me@example.com"),
            await store.user_by_service_key(b"service"),
        ],
        "memberships": [*await store.memberships("u"), *await store.members("a")],
        "tokens": [
            await store.token(b"digest"),
            await store.token_by_id("t"),
            *await store.tokens_of_account("a"),
            *await store.tokens_of_user("u"),
        ],
    }
    return {table for table, rows in found.items() if any(row is not None for row in rows)}


@pytest.fixture
def other(store: SqliteStore, path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection beside the open store."""
    assert store
    with closing(connect(path, 5)) as db:
        yield db


async def test_written_rows_count(store: SqliteStore, other: sqlite3.Connection) -> None:
    """Rows that the store has written count, in every read."""
    await store.commit(putting(*IDENTITIES.values()))

    assert set(TABLES) == await seen(store)
    assert [] == refused_rows(other, IDENTITY_KEY)


def test_a_mac_covers_every_column(other: sqlite3.Connection) -> None:
    """The MAC covers every column of each table, except itself and the e-mail address in lower case."""
    for table in TABLES:
        columns = {column[1] for column in other.execute(f"PRAGMA table_info({table})")}
        assert {"mac"} <= columns
        assert set(IDENTITIES[table].__struct_fields__) == columns - {"mac", "email_folded"}


@pytest.mark.parametrize(("table", "column"), COLUMNS)
@pytest.mark.parametrize("value", ["text", "NULL", "number", "the same as text"])
async def test_a_changed_column_makes_a_row_absent(
    store: SqliteStore, other: sqlite3.Connection, table: str, column: str, value: str
) -> None:
    """A row with any changed column reads as absent, also when only the type of the value has changed."""
    await store.commit(putting(*IDENTITIES.values()))
    before = other.execute(f"SELECT {column} FROM {table}").fetchone()[0]  # noqa: S608 - the same
    new = {"text": "another", "NULL": None, "number": 8.5, "the same as text": f"{before!s}\0"}[value]
    if value == "the same as text" and isinstance(before, bytes):
        new = before.decode()
    with suppress(sqlite3.IntegrityError):  # most columns may not be NULL
        other.execute(f"UPDATE {table} SET {column} = ?", (new,))  # noqa: S608 - a name from the table above
    if not other.execute("SELECT changes()").fetchone()[0]:
        assert new is None
        return

    assert set(TABLES) - {table} == await seen(store)
    assert [table] == [row.table for row in refused_rows(other, IDENTITY_KEY)]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("mac", ["x''", "'text'", "zeroblob(32)", "1", "(SELECT mac FROM more)"])
async def test_a_row_without_its_mac_is_absent(
    store: SqliteStore, other: sqlite3.Connection, table: str, mac: str
) -> None:
    """A row with an empty, invented or copied MAC reads as absent."""
    await store.commit(putting(*IDENTITIES.values()))
    source = next(name for name in TABLES if name != table)
    other.execute(f"UPDATE {table} SET mac = {mac.replace('more', source)}")  # noqa: S608 - names from above

    assert set(TABLES) - {table} == await seen(store)


def test_no_two_rows_have_the_same_message() -> None:
    """Rows of different tables, and rows whose fields differ only in type or border, have different messages."""
    user = IDENTITIES["users"]
    assert isinstance(user, User)
    rows = [
        *IDENTITIES.values(),
        Account("a", "Home1", 0),
        Account("aH", "ome", 1),
        User("u", "me@example.com", b"key", 2, None),
        User("u", "me@example.com", b"key", 2, b""),
        User("u", "me@example.com", b"key", 2, b"n"),
    ]

    assert len(rows) == len({message_of(row) for row in rows})
    for table, row in IDENTITIES.items():
        assert message_of(row).startswith(encode(f"nightsafe-identity-row/1 {table}".encode()))


@pytest.mark.parametrize(
    ("read", "key"),
    [
        ("account", "a"), ("user", "u"), ("user_by_email", "me@example.com"), ("user_by_service_key", b"service"),
        ("memberships", "u"), ("members", "a"), ("token", b"digest"), ("token_by_id", "t"),
        ("tokens_of_account", "a"), ("tokens_of_user", "u"),
    ],
)  # fmt: skip
async def test_a_read_finds_only_what_it_asked_for(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, read: str, key: str | bytes
) -> None:
    """A row that has its MAC is not found by another key, as an index of an altered file could have it."""
    rows = [replace(row, account_id="") if read == "tokens_of_user" else row for row in (IDENTITIES["tokens"],)]
    await store.commit(putting(*IDENTITIES.values(), *rows))
    asked: list[tuple[object, ...]] = []
    for name in ("one", "all"):
        real = getattr(store._reader, name)

        def recorded(sql: str, parameters: tuple[object, ...], real: Callable[..., object] = real) -> object:
            """Read with the parameters of the first read."""
            asked.append(parameters)
            return real(sql, asked[0])

        monkeypatch.setattr(store._reader, name, recorded)

    assert await getattr(store, read)(key)
    assert not await getattr(store, read)(key * 2)


async def test_a_token_after_refused_ones_is_listed(store: SqliteStore, other: sqlite3.Connection) -> None:
    """A list of tokens contains each token that counts, however many rows between them do not."""
    numbers = count()
    tokens = [
        Token(id=f"{at:03}", digest=b"%d" % at, user_id="u", name="", status="active", policies=b"[]", issued_on=at,
              modified_on=0)
        for at in (next(numbers) for _ in range(450))
    ]  # fmt: skip
    await store.commit(putting(*tokens))
    other.execute("UPDATE tokens SET mac = x'' WHERE issued_on NOT IN (0, 449)")

    assert ["000", "449"] == [token.id for token in await store.tokens_of_user("u")]


async def test_a_refused_row_is_logged_once(store: SqliteStore, other: sqlite3.Connection) -> None:
    """The log names each refused row once, without its contents, and at most a hundred rows."""
    await store.commit(putting(*IDENTITIES.values()))
    other.execute("UPDATE tokens SET status = 'disabled'")
    with capture_logs() as logged:
        for _ in range(3):
            assert None is await store.token(b"digest")
        for at in range(200):
            assert not store._macs.admits(Account(f"{at}\x1b[2J", "Home", 1), b"")

    assert ("identity.row_refused", "tokens", "t") == tuple(logged[0][name] for name in ("event", "table", "row"))
    assert 100 == len(logged)
    assert all(entry["row"].isprintable() and "nightsafe doctor" in entry["reason"] for entry in logged)


async def test_a_store_without_the_key_has_no_identities(path: Path) -> None:
    """A store that is opened without the key reads every identity as absent and takes no new one."""
    store = open_store(path)
    await store.commit(putting(*IDENTITIES.values()))
    await store.close()
    store = SqliteStore.open(path)
    try:
        assert set() == await seen(store)
        with pytest.raises(NightsafeError, match="without the identity key") as refused:
            await store.commit(putting(IDENTITIES["accounts"]))
    finally:
        await store.close()

    assert Code.STORE is refused.value.code


def test_the_mac_of_a_foreign_type_is_refused() -> None:
    """A row with a value of a type that no column has is refused, and causes no failure."""
    macs = IdentityMacs(IDENTITY_KEY)

    assert not macs.admits(Account("a", 1.5, 1), b"")  # type: ignore[arg-type]


async def test_refused_rows_are_deleted(store: SqliteStore, other: sqlite3.Connection) -> None:
    """Refused rows are deleted as they were listed; a row that was written again since stays."""
    await store.commit(putting(*IDENTITIES.values()))
    other.execute("UPDATE users SET email = 'x'")
    other.execute("UPDATE tokens SET status = 'disabled'")
    rows = refused_rows(other, IDENTITY_KEY)
    await store.commit(putting(IDENTITIES["tokens"]))
    await store.commit(Change(at=0, audit=putting().audit, drop_refused=tuple(rows)))

    assert ["users", "tokens"] == [row.table for row in rows]
    assert {"accounts", "memberships", "tokens"} == await seen(store)
    assert [(0,)] == other.execute("SELECT count(*) FROM users").fetchall()


def test_malformed_rows_are_listed(other: sqlite3.Connection) -> None:
    """A row with bytes that are no text, or a value of another type, is listed with a printable name."""
    other.execute("INSERT INTO accounts VALUES (CAST(x'ff1b' AS TEXT), 'Home', 1, 'mac')")
    other.execute("INSERT INTO accounts VALUES ('b', x'00', 1, x'')")
    rows: list[RefusedRow] = refused_rows(other, None)

    assert [True, False] == [row.identity is not None for row in rows]
    assert all(row.name.isprintable() for row in rows)
