"""The schema's version, its migration, and the check that it is this program's.

`schema_version` has one row: the version of the schema, the oldest version whose programs can still work on it, and
the name of the command that is making the safe, until the safe is whole. So nodes of two versions can work on one
database while they are upgraded: the database is migrated first, and then each node gets the new program.
"""

import asyncio
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Final, NamedTuple

import asyncpg

from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.tree import Frontier
from nightsafe.store.rules.group_log import ORIGIN_PREFIX

if TYPE_CHECKING:
    from asyncpg import Connection

_MAX_NAME_LENGTH: Final = 160
_WAY_OUT: Final = (
    "give Nightsafe a database of its own; if it has one, something else has changed it: see its backups"
)
_OLDEST: Final = (1,)
"""For each migration, the oldest schema version whose programs work on the result."""

_TRIES: Final = 20
_LOCK_SECONDS: Final = 1
_BETWEEN_TRIES: Final = 1.0
"""How often a migration tries to get the tables, and the seconds that it waits for one, and before the next try."""

_VERSION_TABLE: Final = """
CREATE TABLE schema_version (
  id BIGINT PRIMARY KEY CHECK (id = 1),
  version BIGINT NOT NULL,
  oldest BIGINT NOT NULL,
  unfinished TEXT NOT NULL
)
"""
_SET_VERSION: Final = """
INSERT INTO schema_version (id, version, oldest, unfinished) VALUES (1, $1, $2, $3)
ON CONFLICT (id) DO UPDATE SET version = excluded.version, oldest = excluded.oldest, unfinished = excluded.unfinished
"""
_STATE: Final = "SELECT version, oldest, unfinished FROM schema_version WHERE id = 1"
_START_LOG: Final = """
INSERT INTO log_head (id, origin, size, frontier, checkpoint, archived) VALUES (1, $1, 0, $2, ''::bytea, 0)
"""
_OF_SCHEMA: Final = "(SELECT oid FROM pg_namespace WHERE nspname = current_schema())"
_HAS_VERSION: Final = f"""
SELECT count(*) > 0 FROM pg_class WHERE relnamespace = {_OF_SCHEMA} AND relname = 'schema_version'
"""  # noqa: S608 - our own SQL
_NOT_OF_EXTENSION: Final = "NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = {}.oid AND d.deptype = 'e')"
_OBJECTS: Final = f"""
SELECT CASE c.relkind WHEN 'r' THEN 'table' WHEN 'i' THEN 'index' ELSE 'object' END, c.relname::text
FROM pg_class c WHERE c.relnamespace = {_OF_SCHEMA} AND c.relkind NOT IN ('t', 'c', 'I')
  AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = c.oid) AND {_NOT_OF_EXTENSION.format("c")}
UNION ALL SELECT 'function', p.proname::text FROM pg_proc p
WHERE p.pronamespace = {_OF_SCHEMA} AND {_NOT_OF_EXTENSION.format("p")}
"""  # noqa: S608 - our own SQL
_ATTACHED: Final = f"""
SELECT 'trigger', t.tgname::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = {_OF_SCHEMA} AND NOT t.tgisinternal
UNION ALL SELECT 'rule', r.rulename::text FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
WHERE c.relnamespace = {_OF_SCHEMA} AND c.relkind = 'r'
UNION ALL SELECT 'policy', p.polname::text FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
WHERE c.relnamespace = {_OF_SCHEMA}
UNION ALL SELECT 'child table', c.relname::text FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
WHERE c.relnamespace = {_OF_SCHEMA}
"""  # noqa: S608 - our own SQL
_COLUMNS: Final = f"""
SELECT c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = {_OF_SCHEMA} AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
"""  # noqa: S608 - our own SQL
_CREATED: Final = re.compile(r"^CREATE (?:UNIQUE )?(TABLE|INDEX) ([a-z_]+)", re.MULTILINE)

_TABLE_OR_COLUMN: Final = re.compile(
    r"^(?:CREATE TABLE ([a-z_]+) \(|ALTER TABLE ([a-z_]+) ADD COLUMN ([a-z_]+) ([A-Z]+)\b|  ([a-z_]+) ([A-Z]+)\b)",
    re.MULTILINE,
)
"""The lines of migrations that make tables and columns."""

_VERSION: Final = "schema_version"


def migrations() -> list[str]:
    """Return the SQL of each migration; the first makes version 1 in an empty schema."""
    folder = resources.files("nightsafe.store.postgres.migrations")
    steps = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [file.read_text(encoding="utf-8") for file in steps]


class State(NamedTuple):
    """The state of a database.

    Attributes:
        version: the version of its schema; 0 without a safe.
        oldest: the oldest version whose programs can work on it.
        unfinished: the name of the command that is making the safe; "" for a whole safe.
    """

    version: int = 0
    oldest: int = 0
    unfinished: str = ""


async def create(db: "Connection", command: str) -> None:
    """Make the tables of a new safe, which stays unusable until `finish`.

    Tables that an interrupted run of the same command has left are removed first.

    Raises:
        NightsafeError: INVALID, when the schema has a safe or something else; STORE, when the role may not do this.
    """
    with _explained():
        async with db.transaction():
            state = await state_of(db)
            if state.unfinished and state.unfinished == command:
                await _drop(db)
            elif state.version or any(name in tables() for _, name in await _objects(db)):
                raise _taken(state)
            await _refuse_foreign(db, 0)
            await _make(db, State(unfinished=command))


async def finish(db: "Connection") -> None:
    """Make a new safe usable."""
    await db.execute("UPDATE schema_version SET unfinished = '' WHERE id = 1")


async def undo(db: "Connection", command: str) -> None:
    """Remove what `create` has made, if the safe is not finished."""
    async with db.transaction():
        if (await state_of(db)).unfinished == command:
            await _drop(db)


async def migrate(db: "Connection") -> None:
    """Make the migrations that are missing, in one transaction. The connection's role must own the tables.

    An empty schema gets all tables. A step that waits for a table makes everything else wait that needs the table. So
    each try waits for a short time only, and requests go on between two tries.

    Raises:
        NightsafeError: STORE, when the database is newer than this program, has an object that is not Nightsafe's,
            something else holds a table during all tries, or the role may not do this.
        asyncpg.PostgresError: when a step fails; nothing is changed.
    """
    for _ in range(_TRIES):
        with suppress(asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            await _migrate(db)
            return
        await asyncio.sleep(_BETWEEN_TRIES)
    raise NightsafeError(
        Code.STORE,
        "other transactions have held the tables all the time, such as that of a backup or of a copy: wait for their"
        " end (pg_stat_activity lists them), then run nightsafe migrate again; nothing was changed",
    )


async def _migrate(db: "Connection") -> None:
    """Make the migrations that are missing, unless something else holds a table."""
    with _explained():
        async with db.transaction():
            await db.execute(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'")
            state = await state_of(db)
            if 0 < state.version < len(migrations()):
                await db.execute("SELECT 1 FROM schema_version WHERE id = 1 FOR UPDATE")  # other migrations wait
                state = await state_of(db)
            _refuse_newer(state)
            await _refuse_foreign(db, state.version)
            if state.version < len(migrations()):
                await _make(db, state)


async def check_version(db: "Connection", command: str = "") -> None:
    """Refuse a database on which this program cannot work. The role needs no right to change the schema.

    Args:
        db: the connection.
        command: the name of the command that is making the safe, which is not finished; "" for a whole safe.

    Raises:
        NightsafeError: INVALID, when there is no whole safe; STORE, when the schema is too old or too new, has an
            object that is not Nightsafe's, or lacks one.
    """
    with _explained():
        state, newest = await state_of(db), len(migrations())
        if state.version == 0:
            raise NightsafeError(Code.INVALID, "the database has no safe; create one with: nightsafe init --store")
        if state.unfinished != command:
            raise NightsafeError(
                Code.INVALID,
                f"nightsafe {state.unfinished} has not finished the safe in the database: wait for it, or run it"
                " again",
            )
        _refuse_newer(state)
        if state.version < newest:
            raise NightsafeError(
                Code.STORE,
                f"the database has schema version {state.version}, and this program needs {newest}: run nightsafe"
                " migrate with the role that owns the tables; nodes of the older version go on to work",
            )
        await _refuse_foreign(db, state.version)


async def state_of(db: "Connection") -> State:
    """Return the state of a database."""
    row = await db.fetchrow(_STATE) if await db.fetchval(_HAS_VERSION) else None
    return State(*row) if row else State()


def tables() -> tuple[str, ...]:
    """Return the names of the tables, without `schema_version`."""
    return tuple(name for kind, name in _made(len(migrations())) if kind == "table")


async def _make(db: "Connection", state: State) -> None:
    """In a transaction, make the migrations after a state, and keep the new state."""
    steps = migrations()
    if state.version == 0:
        await db.execute(_VERSION_TABLE)
    for step in steps[state.version :]:
        await db.execute(step)
    if state.version == 0:
        await db.execute(_START_LOG, ORIGIN_PREFIX + os.urandom(16).hex(), Frontier().encode())
    await db.execute(_SET_VERSION, len(steps), _OLDEST[len(steps) - 1], state.unfinished)


async def _drop(db: "Connection") -> None:
    """In a transaction, remove all tables."""
    await db.execute(f"DROP TABLE {', '.join((*tables(), _VERSION))}")


async def _objects(db: "Connection") -> set[tuple[str, str]]:
    """Return the kind and name of each object of the schema, without the indexes of constraints."""
    return {(str(kind), str(name)) for kind, name in await db.fetch(_OBJECTS)}


async def _refuse_foreign(db: "Connection", version: int) -> None:
    """Refuse a schema with objects or columns that this program does not make, or without some that it makes.

    A foreign trigger, rule or policy would run with the next write or read. Objects of extensions are left out,
    because managed services install some.

    Raises:
        NightsafeError: STORE, with the first such object.
    """
    if version > len(migrations()):
        return  # a newer program has made objects of its own
    attached = sorted((str(kind), str(name)) for kind, name in await db.fetch(_ATTACHED))
    actual, expected = await _objects(db), {*_made(version), *([("table", _VERSION)] if version else [])}
    _refuse_difference([*attached, *sorted(actual - expected)], sorted(expected - actual))
    if not version:
        return
    columns = {("column", str(name)) for (name,) in await db.fetch(_COLUMNS)}
    made = {("column", name) for name in _columns(version)}
    _refuse_difference(sorted(columns - made), sorted(made - columns))


def _refuse_difference(foreign: Iterable[tuple[str, str]], missing: Iterable[tuple[str, str]]) -> None:
    """Refuse what is foreign or missing.

    Args:
        foreign: the kind and name of each object that is not Nightsafe's.
        missing: those of each object that there should be.

    Raises:
        NightsafeError: STORE, with the first of them.
    """
    for kind, name in foreign:
        raise NightsafeError(
            Code.STORE, f"the database's {kind} {name[:_MAX_NAME_LENGTH]!r} is not Nightsafe's: {_WAY_OUT}"
        )
    for kind, name in missing:
        raise NightsafeError(Code.STORE, f"the database lacks the {kind} {name!r}: {_WAY_OUT}")


def _columns(version: int) -> set[str]:
    """Return each column that the migrations up to a version make, as `table.column type`.

    A migration writes each column of a table on a line of its own.
    """
    found, table = set(), ""
    for match in _TABLE_OR_COLUMN.finditer("\n".join([_VERSION_TABLE, *migrations()[:version]])):
        created, altered, added, added_type, column, column_type = match.groups()
        table = created or altered or table
        if added or column:
            found.add(f"{table}.{added or column} {(added_type or column_type).lower()}")
    return found


@lru_cache
def _made(version: int) -> tuple[tuple[str, str], ...]:
    """Return the kind and name of each object that the migrations up to a version make."""
    matches = (match for step in migrations()[:version] for match in _CREATED.finditer(step))
    return tuple((match.group(1).lower(), match.group(2)) for match in matches)


def _refuse_newer(state: State) -> None:
    """Refuse a schema on which programs of this version cannot work.

    Raises:
        NightsafeError: STORE.
    """
    newest = len(migrations())
    if state.oldest > newest:
        raise NightsafeError(
            Code.STORE,
            f"the database has schema version {state.version}, but this program knows only up to {newest}: use a"
            " newer program",
        )


def _taken(state: State) -> NightsafeError:
    """Return the refusal to make a safe where there is something."""
    if state.unfinished:
        return NightsafeError(
            Code.INVALID,
            f"the database has a safe that nightsafe {state.unfinished} has not finished; run that again",
        )
    return NightsafeError(
        Code.INVALID, "the database has a safe already, or tables of the same names; name an empty database"
    )


@contextmanager
def _explained() -> Iterator[None]:
    """Explain the server's refusals for the role's rights, and for tables that another process makes."""
    try:
        yield
    except (asyncpg.DuplicateTableError, asyncpg.UniqueViolationError):
        raise _taken(State()) from None
    except asyncpg.InsufficientPrivilegeError as error:
        raise NightsafeError(
            Code.STORE,
            f"the database's role lacks a right ({error.args[0]}): init and migrate need the role that owns the"
            " tables, and serving needs the rights that nightsafe store grants prints",
        ) from None
