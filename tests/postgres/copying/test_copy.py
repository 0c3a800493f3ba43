"""`nightsafe store copy` moves a safe between engines, and finishes only a copy that is the whole safe."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.postgres.copying.tools.commands import call, new_database, point_to, query, rows_of_database, rows_of_file
from tests.postgres.databases import Databases
from tests.stores import open_store
from tests.unit.api.tools.driver import ACCOUNT
from tests.unit.audit.tools.filled_safe import change, fill_directory

from nightsafe.cli.safe.database_copy import open_read_only
from nightsafe.cli.store import copy as copy_command
from nightsafe.cli.store.snapshot import take_snapshot, write_snapshot
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.identity.administration import issue_token
from nightsafe.store.copying.copy import compare_rows, copy_rows
from nightsafe.store.copying.tables import tables
from nightsafe.store.postgres import copying as postgres_copying
from nightsafe.store.postgres.copying import PostgresSource, PostgresTarget
from nightsafe.store.postgres.engine.address import parse
from nightsafe.store.sqlite import copying as sqlite_copying
from nightsafe.store.sqlite.copying import SqliteSource, SqliteTarget
from nightsafe.store.sqlite.engine.schema import check_own

KILLED = Path(__file__).parent / "tools" / "killed_copy.py"


def test_a_safe_moves_to_postgresql_and_back(data: Path, database: str, tmp_path: Path) -> None:
    """Every row of every table is the same after a copy to PostgreSQL, and after the copy back."""
    before = rows_of_file(data / "nightsafe.db")
    said = call("store", "copy", "--from", data, "--to", database)
    back = tmp_path / "back.db"
    call("store", "copy", "--from", database, "--to", back, "--data", data)

    assert "all as the log says" in said
    assert before == rows_of_database(database)
    assert before == rows_of_file(back)
    assert {"contents", "items", "tokens", "log_groups"} <= {name for name, rows in before.items() if rows}
    with closing(sqlite3.connect(back)) as db:
        check_own(db)


def test_a_safe_moves_between_two_databases_of_one_engine(data: Path, database: str, postgres: Databases) -> None:
    """A copy from PostgreSQL to PostgreSQL has every row, too."""
    call("store", "copy", "--from", data, "--to", database)
    other = new_database(postgres)
    call("store", "copy", "--from", database, "--to", other, "--data", data)

    assert rows_of_database(database) == rows_of_database(other)


def test_the_tables_are_the_same_on_both_engines(data: Path, database: str) -> None:
    """PostgreSQL has the tables and columns that are copied, and no others."""
    call("store", "copy", "--from", data, "--to", database)
    sql = "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'public'"
    expected = {(table.name, column) for table in tables() for column in table.columns}

    assert expected == {tuple(row) for row in query(database, sql)} - set(_VERSION)


_VERSION = [("schema_version", name) for name in ("id", "version", "oldest", "unfinished")]


@pytest.mark.parametrize("to_postgres", [True, False])
def test_a_copy_that_was_killed_goes_on(
    *, data: Path, database: str, postgres: Databases, tmp_path: Path, to_postgres: bool
) -> None:
    """After SIGKILL in the middle, no program uses the copy; the next run finishes it, and writes no part twice."""
    source, target, other = str(data), database, new_database(postgres)
    if not to_postgres:
        call("store", "copy", "--from", data, "--to", database)
        source, target, other = database, str(tmp_path / "target.db"), str(tmp_path / "other.db")
    killed = in_parts(12, source, target, data)
    unusable = call("store", "copy", "--from", target, "--to", tmp_path / "no.db", "--data", data, code=1)
    finished, whole = in_parts(0, source, target, data), in_parts(0, source, other, data)

    assert -signal.SIGKILL == killed.returncode, killed.stderr
    assert ("nightsafe store copy has not finished" if to_postgres else "unfinished copy") in unusable
    assert rows_of_file(data / "nightsafe.db") == (
        rows_of_database(target) if to_postgres else rows_of_file(Path(target))
    )
    assert int(whole.stdout) - 11 == int(finished.stdout)


def in_parts(killed_at: int, source: str | Path, target: str, data: Path) -> subprocess.CompletedProcess[str]:
    """Copy in small parts in a process of its own, which is killed before one of them."""
    arguments = [str(killed_at), "--from", str(source), "--to", target, "--data", str(data)]
    return subprocess.run([sys.executable, KILLED, *arguments], check=False, capture_output=True, text=True)


def test_a_changed_row_of_the_copy_is_named(data: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of the copy that something else changes is named, and the next run mends it."""

    async def damaged(*arguments: Any) -> dict[str, int]:
        """Change a row, then compare."""
        await asyncio.to_thread(query, database, "UPDATE audit SET leaf = ''::bytea WHERE seq = 5")
        return await compare_rows(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(copy_command, "compare_rows", damaged)
        said = call("store", "copy", "--from", data, "--to", database, code=1)
    with pytest.raises(NightsafeError) as refusal:
        take_snapshot(parse(database), data / "snapshot.db")
    call("store", "copy", "--from", data, "--to", database)

    assert "the row of the table audit with seq 5 is not in the copy" in said
    assert "has not finished the safe" in refusal.value.problems[0].detail
    assert rows_of_file(data / "nightsafe.db") == rows_of_database(database)


def test_a_changed_safe_is_not_copied_whole(data: Path, database: str, tmp_path: Path) -> None:
    """A row of the safe that is not what the log says is named, from either engine, and the copy stays unfinished."""
    sound = tmp_path / "sound.db"
    sound.write_bytes((data / "nightsafe.db").read_bytes())
    with closing(sqlite3.connect(data / "nightsafe.db", isolation_level=None)) as db:
        change(db, "UPDATE tokens SET name = 'stronger' WHERE id = (SELECT min(id) FROM tokens)")
    from_file = call("store", "copy", "--from", data, "--to", database, code=1)
    unusable = call("store", "copy", "--from", database, "--to", tmp_path / "no.db", "--data", data, code=1)
    query(database, "DROP TABLE unfinished_copy")
    query(database, "UPDATE schema_version SET unfinished = ''")
    from_database = call("store", "copy", "--from", database, "--to", tmp_path / "b.db", "--data", data, code=1)

    assert "the token" in from_file
    assert "the copy stays unfinished" in from_file
    assert "has not finished the safe" in unusable
    assert "the token" in from_database
    with closing(sqlite3.connect(tmp_path / "b.db")) as db, pytest.raises(NightsafeError, match="unfinished copy"):
        check_own(db)


def test_a_safe_that_changes_meanwhile_is_copied_again(
    data: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of a safe that got an entry meanwhile stays unfinished, and the next run brings the entry over."""

    async def with_new_entry(*arguments: Any) -> dict[str, int]:
        """Write to the safe as a server would, then compare the copy with what was copied."""
        store = open_store(data / "nightsafe.db")
        (member, *_) = await store.members(ACCOUNT)
        await issue_token(store, ACCOUNT, member.user_id, "new")
        await store.close()
        return await compare_rows(*arguments)

    asyncio.run(_serve(data / "nightsafe.db"))
    with monkeypatch.context() as patch:
        patch.setattr(copy_command, "compare_rows", with_new_entry)
        said = call("store", "copy", "--from", data, "--to", database, code=1)
    call("store", "copy", "--from", data, "--to", database)

    assert "1 new entries" in said
    assert rows_of_file(data / "nightsafe.db") == rows_of_database(database)


async def _serve(path: Path) -> None:
    """Open a store and close it: this sets the journal's mode."""
    await open_store(path).close()


def test_a_value_that_moves_between_rows_does_not_stop_a_copy(
    data: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When two users have exchanged their e-mails since an interrupted copy, the next run brings it over."""
    fold = "UPDATE users SET email_folded = id"
    monkeypatch.setattr(sqlite_copying, "_PART_ROWS", 1)
    with closing(sqlite3.connect(data / "nightsafe.db", isolation_level=None)) as db:
        db.execute("INSERT INTO users SELECT '00', 'z', key_digest, 0, 'z', NULL, mac FROM users LIMIT 1")
        assert "unfinished" in call("store", "copy", "--from", data, "--to", database, code=1)
        db.execute("UPDATE users SET email_folded = id || 'x'")
        db.execute("UPDATE users SET email_folded = (SELECT max(id) FROM users) WHERE id = '00'")
    query(database, fold)
    monkeypatch.setattr(copy_command, "verify_with_progress", _stop)

    assert "stopped" in call("store", "copy", "--from", data, "--to", database, code=1)
    assert rows_of_file(data / "nightsafe.db") == rows_of_database(database)


def _stop(*_: object) -> None:
    """End a copy after the comparison of its rows."""
    raise NightsafeError(Code.STORE, "stopped")


def test_a_copy_shows_one_moment(data: Path, database: str, tmp_path: Path) -> None:
    """A snapshot has the rows of the moment at which it began, whatever others commit meanwhile."""
    before = rows_of_file(data / "nightsafe.db")
    call("store", "copy", "--from", data, "--to", database)

    async def copy() -> None:
        """Begin, let somebody delete rows, and then copy."""
        async with PostgresSource.open(parse(database)) as source:
            with SqliteTarget.open(tmp_path / "s.db", await source.origin(), durable=False) as target:
                await asyncio.to_thread(query, database, "DELETE FROM audit")
                await copy_rows(source, target, lambda _: None)
                await target.finish()

    asyncio.run(copy())
    assert before == rows_of_file(tmp_path / "s.db")


def test_large_rows_are_copied_in_small_parts(data: Path, database: str) -> None:
    """However many large contents there are, one part has a few of them."""
    call("store", "copy", "--from", data, "--to", database)
    query(
        database,
        "INSERT INTO contents SELECT 'a', convert_to(n::text, 'UTF8'), decode(repeat('00', 10000000), 'hex')"
        " FROM generate_series(1, 9) n",
    )
    (contents,) = (table for table in tables() if table.name == "contents")

    async def sizes() -> list[int]:
        """Return the number of rows of each part."""
        found, after = [], ()
        async with PostgresSource.open(parse(database)) as source:
            while rows := await source.part(contents, after):
                found.append(len(rows))
                after = contents.key_of(rows[-1])
        return found

    assert max(asyncio.run(sizes())) <= 3


def test_what_is_not_a_new_database_stays(data: Path, database: str, postgres: Databases, tmp_path: Path) -> None:
    """A target with a safe, with foreign tables or with another safe's unfinished copy is refused and kept."""
    call("store", "copy", "--from", data, "--to", database)
    foreign, begun = new_database(postgres), new_database(postgres)
    query(foreign, "CREATE TABLE cats (name TEXT)")
    other = fill_directory(tmp_path)
    with closing(sqlite3.connect(other / "nightsafe.db", isolation_level=None)) as db:
        db.execute("UPDATE log_head SET origin = 'another log'")
    in_parts(3, data, begun, data)

    assert "is this safe already" in call("store", "copy", "--from", data, "--to", database, code=1)
    assert "has tables already" in call("store", "copy", "--from", data, "--to", foreign, code=1)
    assert "of another safe" in call("store", "copy", "--from", other, "--to", begun, code=1)
    assert "has a database already" in call("store", "copy", "--from", database, "--to", other, code=1)
    assert rows_of_file(data / "nightsafe.db") == rows_of_database(database)


def test_unusable_locations_are_named(data: Path, database: str, tmp_path: Path) -> None:
    """A password on the command line, an address that others can read, and places without a safe are refused."""
    point_to(tmp_path, database)
    address = tmp_path / "store-url"
    address.chmod(0o644)
    text = tmp_path / "note.txt"
    text.write_text("note")
    text.chmod(0o600)
    secret = call("store", "copy", "--from", "postgresql://me:letmein@h/d", "--to", tmp_path / "t.db", code=2)

    assert "put the URL into a file" in secret
    assert "letmein" not in secret
    assert f"chmod 600 {address}" in call("store", "copy", "--from", address, "--to", data, "--data", data, code=1)
    assert "note.txt is neither" in call("store", "copy", "--from", text, "--to", data, "--data", data, code=1)
    assert "does not exist" in call(
        "store", "copy", "--from", tmp_path / "no", "--to", database, "--data", data, code=1
    )
    assert "has no safe" in call("store", "copy", "--from", database, "--to", tmp_path / "t", "--data", data, code=1)
    gone = database.replace("/safe_", "/gone_")
    assert "has no database" in call("store", "copy", "--from", data, "--to", gone, code=1)


@pytest.mark.parametrize(
    ("places", "words"),
    [
        (("{folder}/no", "{database}"), "{folder}/no does not exist: for the safe to copy, with --from, name a data"),
        (("{folder}", "{database}"), "{folder}/nightsafe.db does not exist"),
        (
            ("{data}", "{data}"),
            "--from and --to name the same database, {data}/nightsafe.db: with --to, name an empty",
        ),
        (("{database}", "{database}"), "--from and --to name the same database, postgresql://"),
        (("{data}", "{folder}/no/file"), "the folder of {folder}/no/file does not exist: create it, or name another"),
        (("{data}", "{folder}/note"), "{folder}/note is neither a SQLite database nor a file with a URL: with --to"),
        (("{data}", "mysql://me@h/d"), "Invalid value for --to: give a URL postgresql://ROLE@HOST/DATABASE"),
        (("mysql://me@h/d", "{database}"), "Invalid value for --from: give a URL postgresql://ROLE@HOST/DATABASE"),
        (("{data}", ""), "Invalid value for --to: name a data directory, a SQLite file"),
        (("{data}", "postgresql://me@127.0.0.1:1/d"), "--to postgresql://me@127.0.0.1:1/d: no primary"),
        (("{database}", "{folder}/copy"), "keys/verify-keys.json does not exist"),
    ],
)
def test_wrong_places_are_named_with_a_way_out(
    data: Path, database: str, monkeypatch: pytest.MonkeyPatch, places: tuple[str, str], words: str
) -> None:
    """A refusal names the place, or the option, and what to name in its stead, also without a data directory."""
    monkeypatch.chdir(data.parent)
    monkeypatch.setattr(postgres_copying, "PATIENCE", 0.1)
    folder = data.parent / "folder"
    folder.mkdir()
    (folder / "note").write_text("note")
    values = {"data": data, "database": database, "folder": folder}
    source, target = (place.format(**values) for place in places)
    arguments = ("--from", source, "--to", target)
    code = 2 if "Invalid" in words else 1

    assert words.format(**values) in call("store", "copy", *arguments, code=code)
    assert [] == query(database, "SELECT 1 FROM pg_tables WHERE schemaname = 'public'")
    assert ["note"] == [path.name for path in folder.iterdir()]


def test_a_finished_file_is_not_copied_to_again(data: Path, tmp_path: Path) -> None:
    """A second copy to a finished file of the same safe is refused, which may lack what was written after it."""
    copy = ("store", "copy", "--from", data, "--to", tmp_path / "copy.db")
    call(*copy)
    whole = (tmp_path / "copy.db").read_bytes()

    said = call(*copy, code=1)

    assert "copy.db is this safe already, with the first" in said
    assert "name another file, or move this one away" in said
    assert whole == (tmp_path / "copy.db").read_bytes()


def test_a_text_with_u_0000_is_copied(data: Path, database: str, tmp_path: Path) -> None:
    """Texts with U+0000 and U+0001, which PostgreSQL stores in another form, are the same after the way back."""
    with closing(sqlite3.connect(data / "nightsafe.db", isolation_level=None)) as db:
        db.execute("UPDATE tokens SET name = 'a' || char(0, 1) || id")
        db.execute("INSERT INTO removals VALUES ('a', char(1)), ('a', char(0)), ('a', char(0, 2)), ('a', '')")

    async def there_and_back() -> None:
        """Copy the rows."""
        with open_read_only(data / "nightsafe.db") as db:
            source = SqliteSource(db)
            async with PostgresTarget.open(parse(database), await source.origin(), "store copy") as target:
                await copy_rows(source, target, lambda _: None)
                await compare_rows(source, target, lambda _: None)
                await target.finish()
        await write_snapshot(parse(database), tmp_path / "back.db")

    asyncio.run(there_and_back())
    assert rows_of_file(data / "nightsafe.db") == rows_of_file(tmp_path / "back.db")


def test_a_finished_copy_is_not_copied_again(data: Path, database: str) -> None:
    """A second copy to a finished copy of the same safe is refused, which may lack what was written after it."""
    call("store", "copy", "--from", data, "--to", database)

    said = call("store", "copy", "--from", data, "--to", database, code=1)

    assert "is this safe already, with the first" in said
    assert "create another one" in said


def test_two_runs_at_once_do_not_mix(database: str) -> None:
    """When a second run begins to copy to the same database, the first one ends."""

    async def both() -> None:
        """Begin twice, and go on with the first."""
        (table, *_) = tables()
        async with (
            PostgresTarget.open(parse(database), "one", "store copy") as first,
            PostgresTarget.open(parse(database), "one", "store copy"),
        ):
            await first.replace(table, (), (), [])

    with pytest.raises(NightsafeError) as refusal:
        asyncio.run(both())
    assert Code.UNAVAILABLE is refusal.value.problems[0].code
