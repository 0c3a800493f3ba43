"""The schema: how it is made and migrated, what is refused, and the rights of the serving role."""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from tests.postgres.server import PostgresServer

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.postgres.engine import schema
from nightsafe.store.postgres.engine.address import parse
from nightsafe.store.postgres.engine.connection import connect
from nightsafe.store.postgres.engine.grants import RIGHTS, grants

if TYPE_CHECKING:
    from asyncpg import Connection

    Work = Callable[[Connection], Coroutine[Any, Any, Any]]


class Database:
    """An empty database, which a role of its own owns, and a role that serves.

    Args:
        server: the server.
    """

    def __init__(self, server: PostgresServer) -> None:
        self.server, self.name = server, f"safe_{secrets.token_hex(4)}"
        self.owner, self.role = f"owner_{self.name}", f"serving_{self.name}"
        server.execute(f"CREATE ROLE {self.owner} LOGIN; CREATE ROLE {self.role} LOGIN")
        server.execute(f"CREATE DATABASE {self.name} OWNER {self.owner} TEMPLATE template0")

    async def do(self, *works: "Work", role: str = "") -> Any:
        """Return what the last of some works returns, each in a connection of its own."""
        result = None
        for work in works:
            db = await connect(parse(self.server.at_socket(role or self.owner, self.name, allow_fsync_off="yes")))
            try:
                result = await work(db)
            finally:
                await db.close()
        return result

    async def refusal(self, work: "Work", code: Code = Code.STORE, role: str = "") -> str:
        """Return the words with which a work is refused."""
        with pytest.raises(NightsafeError) as caught:
            await self.do(work, role=role)
        assert caught.value.code is code
        return caught.value.problems[0].detail


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[Database]:
    """Yield an empty database."""
    made = Database(postgres)
    yield made
    postgres.execute(f"DROP DATABASE {made.name} WITH (FORCE)")


def _execute(sql: str) -> "Work":
    """Return a work that executes statements."""
    return lambda db: db.execute(sql)


async def _create(db: "Connection") -> None:
    """Make a whole safe."""
    await schema.create(db, "init")
    await schema.finish(db)


async def test_a_new_schema_is_this_programs_own(database: Database) -> None:
    """The check accepts what `create` and `finish` have made, with one head of an empty log."""
    await database.do(_create, schema.check_version)
    row = await database.do(lambda db: db.fetchrow("SELECT origin, size, archived FROM log_head"))
    assert row["origin"].startswith("nightsafe/")
    assert (row["size"], row["archived"]) == (0, 0)
    assert await database.do(schema.state_of) == (len(schema.migrations()), 1, "")


async def test_a_safe_is_unusable_until_it_is_whole(database: Database) -> None:
    """Tables that `init` has not finished are refused, and replaced when it runs again."""
    await database.do(lambda db: schema.create(db, "init"), _execute("UPDATE log_head SET origin = 'first'"))
    assert "nightsafe init has not finished" in await database.refusal(schema.check_version, Code.INVALID)
    assert "run that again" in await database.refusal(lambda db: schema.create(db, "copy"), Code.INVALID)
    await database.do(_create, schema.check_version)
    assert await database.do(lambda db: db.fetchval("SELECT origin FROM log_head")) != "first"


async def test_an_undone_creation_leaves_nothing(database: Database) -> None:
    """`undo` removes an unfinished safe of the same command, and no whole one."""
    await database.do(lambda db: schema.create(db, "init"), lambda db: schema.undo(db, "init"))
    assert (
        await database.do(lambda db: db.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")) == 0
    )
    await database.do(_create, lambda db: schema.undo(db, "init"), schema.check_version)


async def test_a_database_with_a_safe_is_not_written_over(database: Database) -> None:
    """A second safe in the same database is refused, also when two are made at once."""
    results = await asyncio.gather(*(database.do(_create) for _ in range(3)), return_exceptions=True)
    refusals = [result for result in results if isinstance(result, NightsafeError)]
    assert len(refusals) == 2, results
    assert all("name an empty database" in refusal.problems[0].detail for refusal in refusals)
    assert "name an empty database" in await database.refusal(_create, Code.INVALID)
    await database.do(schema.check_version)


async def test_foreign_tables_are_not_written_over(database: Database) -> None:
    """A database with another program's table of the same name, or of any name, is refused and stays as it is."""
    await database.do(_execute("CREATE TABLE users (name TEXT)"))
    assert "tables of the same names" in await database.refusal(_create, Code.INVALID)
    await database.do(_execute("DROP TABLE users; CREATE TABLE orders (id BIGINT)"))
    assert "'orders' is not Nightsafe's" in await database.refusal(_create)
    assert (
        await database.do(lambda db: db.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")) == 1
    )


async def test_a_database_without_a_safe_is_refused(database: Database) -> None:
    """The refusal of an empty database names the command that makes a safe."""
    assert "nightsafe init --store" in await database.refusal(schema.check_version, Code.INVALID)


async def test_migrate_makes_what_is_missing_and_nothing_twice(database: Database) -> None:
    """An empty database gets all tables, and a second migration changes nothing."""
    await database.do(schema.migrate)
    origin = await database.do(lambda db: db.fetchval("SELECT origin FROM log_head"))
    await database.do(schema.migrate, schema.check_version)
    assert await database.do(lambda db: db.fetchval("SELECT origin FROM log_head")) == origin


async def test_an_older_schema_is_refused_with_the_command_that_migrates(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node never migrates: it names the command, which the owner runs, and then works."""
    await database.do(_create)
    newer = [*schema.migrations(), "CREATE TABLE more (\n  id BIGINT PRIMARY KEY\n)"]
    monkeypatch.setattr(schema, "migrations", lambda: newer)
    monkeypatch.setattr(schema, "_OLDEST", (1, 1))
    schema._made.cache_clear()
    try:
        assert "run nightsafe migrate" in await database.refusal(schema.check_version)
        await asyncio.gather(database.do(schema.migrate), database.do(schema.migrate))
        await database.do(schema.check_version)
        monkeypatch.undo()
        schema._made.cache_clear()
        await database.do(schema.check_version)  # the older program goes on to work
        await database.do(schema.migrate)
        assert (await database.do(schema.state_of)).version == 2
    finally:
        schema._made.cache_clear()


async def test_a_schema_that_is_too_new_is_refused(database: Database) -> None:
    """A program refuses a schema that says that programs of its version cannot work on it."""
    await database.do(_create, _execute("UPDATE schema_version SET version = 9, oldest = 9"))
    for work in (schema.check_version, schema.migrate):
        assert "use a newer program" in await database.refusal(work)


_FUNCTION = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        (_FUNCTION, "function 'f'"),
        (f"{_FUNCTION}; CREATE TRIGGER t AFTER INSERT ON tokens FOR EACH ROW EXECUTE FUNCTION f()", "trigger 't'"),
        ("CREATE RULE r AS ON INSERT TO tokens DO ALSO NOTHING", "rule 'r'"),
        ("ALTER TABLE tokens ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON tokens USING (false)", "policy 'p'"),
        ("CREATE VIEW v AS SELECT * FROM tokens", "object 'v'"),
        ("CREATE TABLE copies () INHERITS (tokens)", "child table 'copies'"),
        ("CREATE INDEX i ON tokens (name)", "index 'i'"),
        ("CREATE TABLE others (id BIGINT)", "table 'others'"),
        ("DROP INDEX items_by_key", "lacks the index 'items_by_key'"),
        ("DROP TABLE approvals", "lacks the index 'approvals_by_time'"),
        ("ALTER TABLE tokens ADD COLUMN note TEXT", "column 'tokens.note text' is not Nightsafe's"),
        ("ALTER TABLE tokens DROP COLUMN mac", "lacks the column 'tokens.mac bytea'"),
        ("ALTER TABLE tokens ALTER COLUMN expires_on TYPE INTEGER", "column 'tokens.expires_on integer' is not"),
        ("ALTER TABLE schema_version ALTER COLUMN oldest TYPE NUMERIC", "'schema_version.oldest numeric' is not"),
    ],
)
async def test_foreign_and_missing_objects_are_refused(database: Database, sql: str, named: str) -> None:
    """An object or column that Nightsafe does not make, or the lack of one, is named when the safe is opened."""
    await database.do(_create, _execute(sql))
    assert named in await database.refusal(schema.check_version)


async def test_objects_of_extensions_are_accepted(database: Database) -> None:
    """An extension, as managed services install some, does not make the schema foreign."""
    await database.do(_create)
    database.server.execute("CREATE EXTENSION pg_stat_statements", database.name)
    await database.do(schema.check_version)


async def _serving(database: Database) -> None:
    """Make a safe, and give the serving role its rights."""
    await database.do(_create, _execute(grants(database.role, database.name)))


async def test_the_serving_role_can_read_every_table(database: Database) -> None:
    """The serving role checks the schema and reads all tables."""
    await _serving(database)
    await database.do(schema.check_version, role=database.role)
    for table in RIGHTS:
        await database.do(_execute(f"SELECT * FROM {table}"), role=database.role)  # noqa: S608 - our own SQL


def test_the_rights_of_every_table_are_named() -> None:
    """The rights name each table of the schema."""
    assert set(RIGHTS) == {*schema.tables(), "schema_version"}


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit SET entry = ''::bytea",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "UPDATE log_nodes SET hash = ''::bytea",
        "DELETE FROM log_nodes",
        "UPDATE log_groups SET root = ''::bytea",
        "DELETE FROM log_groups",
        "DELETE FROM log_head",
        "INSERT INTO schema_version VALUES (1, 1, 1, '')",
        "UPDATE schema_version SET version = 1",
        "DELETE FROM retired_keys",
        "CREATE TABLE t (id BIGINT)",
        "CREATE FUNCTION f() RETURNS BIGINT LANGUAGE sql AS 'SELECT 1'",
        "ALTER TABLE tokens ADD COLUMN c BIGINT",
        "CREATE INDEX i ON tokens (name)",
        "DROP TABLE tokens",
    ],
)
async def test_the_serving_role_cannot_change_the_log_or_the_schema(database: Database, sql: str) -> None:
    """The serving role has no DDL, and neither UPDATE nor DELETE on the log."""
    await _serving(database)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await database.do(_execute(sql), role=database.role)


async def test_grants_take_rights_away(database: Database) -> None:
    """The statements take rights that a role had before and does not need."""
    await database.do(_create, _execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {database.role}"))
    await database.do(_execute(grants(database.role, database.name)))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await database.do(_execute("DELETE FROM audit"), role=database.role)


async def test_a_lack_of_rights_names_the_commands(database: Database) -> None:
    """A role without rights is told who makes the tables, and which command prints the rights."""
    assert "role that owns the tables" in await database.refusal(_create, role=database.role)
    await database.do(_create)
    assert "nightsafe store grants" in await database.refusal(schema.check_version, role=database.role)


def test_names_are_quoted() -> None:
    """The name of a role cannot end the statement that contains it."""
    assert 'TO "a""; DROP TABLE x";' in grants('a"; DROP TABLE x', "db")
