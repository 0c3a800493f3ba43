"""The database that a command on the audit log reads: of a data directory, or of a backup."""

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import click

from nightsafe.audit.verification.database_check import refuse_schema
from nightsafe.audit.verification.log_check import Report
from nightsafe.cli.audit.given_file import BACKUP, CHECKPOINT, refuse_other
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.data_directory.recovery import recover_and_share
from nightsafe.cli.process.signals import exit_on_signals
from nightsafe.cli.safe.archive import DATABASE, STREAM, Manifest, read_archive
from nightsafe.cli.safe.database_copy import open_read_only, refuse_large_log
from nightsafe.cli.settings.options import FILE
from nightsafe.cli.store.snapshot import rows_file
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.progress import byte_bar
from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.checkpoint import Checkpoint
from nightsafe.sealing.verify_keys import VerifyKeys

_LARGEST_CHECKPOINT: Final = 1 << 16
_HEAD_BYTES: Final = 4096

backup_option = click.option("--backup", type=FILE, help="A backup to read, in place of the data directory.")
verify_keys_option = click.option(
    "--verify-keys", type=FILE, help="File of the public keys to trust.  [default: the data directory's]"
)


class LogDatabase(NamedTuple):
    """An open database.

    Attributes:
        db: a connection in a read transaction.
        watch: returns a function of the progress that also ends the command before the server would refuse writes.
    """

    db: sqlite3.Connection
    watch: Callable[[Report], Report]


@contextmanager
def open_log(data: Path, backup: Path | None, work: str) -> Iterator[LogDatabase]:
    """Open the database of a data directory, which may be served, or of a backup.

    Args:
        data: the data directory.
        backup: the backup, or None.
        work: the command's work, for a message.

    Raises:
        CommandError: if it cannot be read.
        NightsafeError: INVALID, if there is no safe in the data directory; STORE, if the database is empty, foreign,
            damaged or of another schema.
    """
    if backup is None:
        directory = DataDirectory(data)
        directory.check()
        with recover_and_share(data), rows_file(directory) as path, read_log(path, work) as database:
            yield database
        return
    click.get_current_context().with_resource(exit_on_signals())
    with tempfile.TemporaryDirectory(prefix="nightsafe-") as folder:
        _unpack(backup, Path(folder))
        with read_log(Path(folder) / DATABASE, work) as database:
            yield database


def load_keys(data: Path, verify_keys: Path | None, *, needs_own: bool) -> VerifyKeys:
    """Return the public keys to trust.

    Args:
        data: the data directory.
        verify_keys: the file that the user names, or None for that of the data directory.
        needs_own: whether the user must name a file, because the data directory is not what is verified.

    Raises:
        click.UsageError: if the user must name a file.
        NightsafeError: INVALID, if the file cannot be used.
    """
    if verify_keys is not None:
        return VerifyKeys.load(verify_keys)
    if needs_own:
        raise click.UsageError(
            "give --verify-keys with your copy of the safe's keys/verify-keys.json: keys in a backup prove nothing,"
            " because anyone who changes the backup can exchange them"
        )
    return VerifyKeys.load(DataDirectory(data).verify_keys)


def read_checkpoint(path: Path | None, keys: VerifyKeys) -> Checkpoint | None:
    """Return a checkpoint that the user has kept, with its signature checked; None without a file.

    Raises:
        CommandError: if the file has no checkpoint that one of the keys has signed.
    """
    if path is None:
        return None
    with path.open("rb") as file:
        note = file.read(_LARGEST_CHECKPOINT)
    refuse_other(path, note, CHECKPOINT)
    try:
        return keys.open_checkpoint(note)
    except NightsafeError as error:
        raise CommandError(
            f"{path} is not a checkpoint that a given key has signed ({error.problems[0].detail}); `nightsafe audit"
            " checkpoint` prints one"
        ) from None


@contextmanager
def read_log(path: Path, work: str) -> Iterator[LogDatabase]:
    """Open a database in one read transaction.

    Args:
        path: the database.
        work: the command's work, for a message.

    Raises:
        NightsafeError: STORE, if the database is empty, foreign, damaged or of another schema.
    """
    log = path.with_name(f"{path.name}-wal")

    def watch(report: Report) -> Report:
        """Return a function that reports the progress, unless the write-ahead log has become too large."""

        def checked(count: int) -> None:
            """Report the progress."""
            refuse_large_log(log, work)
            report(count)

        return checked

    with open_read_only(path) as db:
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()  # this fixes the snapshot
        try:
            refuse_schema(db)
            yield LogDatabase(db, watch)
        except sqlite3.DatabaseError as error:
            # Its message can quote a row.
            name = getattr(error, "sqlite_errorname", type(error).__name__)
            raise NightsafeError(
                Code.STORE,
                f"{path} cannot be read ({name}): it is damaged or was changed; run: nightsafe doctor",
            ) from None


def _unpack(backup: Path, folder: Path) -> None:
    """Unpack the database of a backup, and none of its keys."""
    if backup != STREAM:
        with backup.open("rb") as file:
            refuse_other(backup, file.read(_HEAD_BYTES), BACKUP)
    with ExitStack() as bars:

        def start(manifest: Manifest) -> Report:
            """Show a bar as long as the database."""
            return bars.enter_context(byte_bar(manifest.files[DATABASE].size, "Unpacking"))

        read_archive(backup, folder, start, (DATABASE,))
