"""`nightsafe audit archive`: moves old entries of the audit log from the database into files."""

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import click
from msgspec import Struct

from nightsafe.audit.exports.archiving import Held, old_entries, shipped_entries
from nightsafe.audit.exports.joined import Archives
from nightsafe.audit.exports.json_lines import json_lines
from nightsafe.audit.sinks.position import read_marks
from nightsafe.audit.verification.difference import DifferenceError
from nightsafe.audit.verification.log_check import read_entries, read_head
from nightsafe.cli.audit.archive_files import ArchiveDirectory, open_archives, open_directory
from nightsafe.cli.audit.database_source import LogDatabase, read_log
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.settings.options import data_option, json_option, option
from nightsafe.cli.store.snapshot import rows_file
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import say, show_json
from nightsafe.errors import NightsafeError
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.services.audit.archiving import archive_change
from nightsafe.services.caller import now
from nightsafe.store.changes import ArchivedEntries
from nightsafe.store.interface import Store
from nightsafe.store.sqlite.engine.connection import connect

_AGE: Final = re.compile(r"([1-9][0-9]{0,8})([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_MICROSECONDS: Final = 1_000_000
_WAIT_SECONDS: Final = 10.0


class _AgeType(click.ParamType[int]):
    """An age, such as `90d`."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the age in microseconds."""
        match = _AGE.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is not an age; give a number and one of s, m, h, d and w, such as 90d", param, ctx)
        return int(match[1]) * _SECONDS[match[2]] * _MICROSECONDS


class _Result(Struct):
    """What a run has archived.

    Attributes:
        first: the index of the first entry that it has archived.
        end: the index after the last one.
        files: the files.
        held: what a sink has not received yet.
    """

    first: int
    end: int
    files: list[Path]
    held: Held | None = None


@click.command("archive")
@data_option
@option(
    "--audit-keep",
    "Archive the entries that are older than this: a number and s, m, h, d or w, such as 90d.",
    type=_AgeType(),
    metavar="AGE",
)
@option(
    "--audit-archive",
    "The directory of the archives. It is created if it does not exist.",
    type=click.Path(file_okay=False, path_type=Path),
)
@json_option
def command(*, data: Path, audit_keep: int | None, audit_archive: Path | None, as_json: bool) -> None:
    """Move old entries from the database into files.

    The command also works while the safe is served, for example once a day. Each entry leaves its hash in the log, so
    that every proof still holds. The text leaves the database only after it is on disk in the archive. `audit verify
    --archive` checks the archives.
    """
    if audit_keep is None or audit_archive is None:
        raise click.UsageError("give --audit-keep and --audit-archive, for example: --audit-keep 90d")
    directory = DataDirectory(data)
    directory.check()
    if audit_archive.resolve().is_relative_to(data.resolve()):
        raise click.UsageError(
            f"{audit_archive} is in the data directory, which `nightsafe restore` replaces: name another directory"
        )
    if directory.load_identity_key().states_older_rows:
        raise CommandError(
            "this safe has rows from before its log, and to state them all entries are needed: first run nightsafe"
            " migrate"
        )
    _refuse_serving_role(directory)
    with open_directory(audit_archive) as folder, rows_file(directory) as rows:
        result = directory.run(lambda store: _archive(store, directory, rows, folder, audit_keep))
    _report(result, folder.path, as_json=as_json)


def _refuse_serving_role(directory: DataDirectory) -> None:
    """Refuse a role that may not empty entries, before anything is written.

    Raises:
        CommandError: if the role of the PostgreSQL database is such a one.
    """
    if directory.address is None:
        return
    from nightsafe.store.postgres.condition import read_condition  # SQLite needs no driver

    condition = asyncio.run(read_condition(directory.address))
    if not condition.may_change_log:
        raise CommandError(
            f"the role {condition.role} may not empty entries of the log: it lacks the right UPDATE on the table"
            " audit, as a role that serves should. Run the command again with --store and the address for the role"
            " that owns the tables; nothing was archived"
        )


async def _archive(
    store: Store, directory: DataDirectory, rows: Path, folder: ArchiveDirectory, keep: int
) -> _Result:
    """Archive all entries that are old enough, a file and a transaction at a time.

    `rows` is the store's own file, or a snapshot of its database.
    """
    keys, before, result = VerifyKeys.load(directory.verify_keys), now() - keep, None
    while True:
        with read_log(rows, "archiving") as database:
            old = old_entries(database.db, before, now(), database.watch(lambda _: None))
            entries, held = shipped_entries(database.db, old, read_marks(directory.path))
            result = result or _Result(entries.first, entries.first, [])
            result.held = held
            if entries.end == entries.first:
                return result
            found = folder.find(entries)
            if found is None:
                folder.write(entries, json_lines(database.db, database.watch(lambda _: None), entries.end))
            else:
                entries = found
            path = folder.file_of(entries)
            _compare(database, path, keys, entries)
        folder.sync(entries)
        await store.commit(archive_change(entries, now()))
        if directory.address is not None:
            _note_archived(rows, entries.end)
        result.end = entries.end
        result.files.append(path)


def _note_archived(rows: Path, end: int) -> None:
    """Note in a snapshot that entries are archived now."""
    with closing(connect(rows, _WAIT_SECONDS)) as db:
        db.execute("UPDATE log_head SET archived = ?", (end,))


def _compare(database: LogDatabase, path: Path, keys: VerifyKeys, entries: ArchivedEntries) -> None:
    """Read an archive back, and compare it with the entries of the database.

    Raises:
        CommandError: if it does not have exactly these entries.
    """
    try:
        archives = Archives(open_archives([path], keys), read_head(database.db).origin)
        for index, leaf in _leaves(database.db, entries):
            archives.text(index, leaf)
        archives.check_rest()
    except NightsafeError as error:
        what = error.what if isinstance(error, DifferenceError) else error.problems[0].detail
        raise CommandError(
            f"{path} does not have the entries {entries.first} to {entries.end - 1} of this log ({what}): move the"
            " file away, or name another directory. Nothing of it was removed from the database"
        ) from None


def _leaves(db: sqlite3.Connection, entries: ArchivedEntries) -> Iterator[tuple[int, bytes]]:
    """Yield index and leaf hash of each entry."""
    for index, _, _, leaf in read_entries(db, lambda _: None, entries.first, entries.end):
        yield index, leaf


def _report(result: _Result, folder: Path, *, as_json: bool) -> None:
    """Print what was archived."""
    count = result.end - result.first
    if result.held is not None:
        say(
            f"The entries from {result.held.first} on stay, although they are old enough: the sink with the position"
            f" file {result.held.position} has not received them. If no server ships to this sink any more, remove"
            " the file."
        )
    if as_json:
        show_json(
            {"archived": count, "first": result.first, "end": result.end, "files": list(map(str, result.files))}
        )
    elif count:
        click.echo(f"the entries {result.first} to {result.end - 1} are now in {folder}")
    else:
        click.echo("no entry was archived" + ("" if result.held else ": none is old enough"))
