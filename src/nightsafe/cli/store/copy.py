"""`nightsafe store copy`: copies a safe's rows from one database to another."""

import asyncio
import tempfile
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import click

from nightsafe.audit.verification.column_types import check_column_types
from nightsafe.audit.verification.database_check import Verified
from nightsafe.audit.verification.difference import DifferenceError
from nightsafe.audit.verification.log_check import read_head
from nightsafe.cli.audit.database_source import LogDatabase, load_keys, read_log, verify_keys_option
from nightsafe.cli.audit.database_verification import describe, verify_with_progress
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.data_directory.ownership import refuse_unsafe
from nightsafe.cli.data_directory.recovery import recover_and_share
from nightsafe.cli.data_directory.store_address import STORE_URL
from nightsafe.cli.process.signals import exit_on_signals
from nightsafe.cli.safe.archive import DATABASE
from nightsafe.cli.settings.options import json_option, local_data_option
from nightsafe.cli.store.location import FORMS, Location, location_of
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import say, show_json
from nightsafe.cli.terminal.progress import byte_bar
from nightsafe.errors import NightsafeError
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.store.copying.copy import Source, Target, compare_rows, copy_rows, count_rows
from nightsafe.store.sqlite.copying import SqliteSource, SqliteTarget

_WORK: Final = "copy"
_FROM: Final = "--from"
_TO: Final = "--to"


class Copied(NamedTuple):
    """A finished copy.

    Attributes:
        counts: the number of rows of each table.
        verified: what the verification has found.
        root: the root of the log, in Base64.
    """

    counts: dict[str, int]
    verified: Verified
    root: str


@click.command("copy")
@click.option(_FROM, "source", required=True, metavar="STORE", help="The safe to copy.")
@click.option(_TO, "target", required=True, metavar="STORE", help="The empty database that becomes the copy.")
@local_data_option
@verify_keys_option
@json_option
def command(source: str, target: str, *, data: Path, verify_keys: Path | None, as_json: bool) -> None:
    """Copy a safe's rows to another database, of the same engine or another one, and verify the copy.

    STORE is a data directory, a SQLite file, an address postgresql://ROLE@HOST/DATABASE, or a file of mode 0600 with
    such an address, which may have a password. The key files stay where they are.

    The command compares every row of the copy with its source, and then the whole safe with its log. No program uses
    the copy before that. If the command is interrupted, or the safe changes meanwhile, run it again: it goes on.
    """
    click.get_current_context().with_resource(exit_on_signals())
    origin, goal = location_of(source, _FROM), location_of(target, _TO)
    _check(origin, goal)
    keys = _keys(origin.data or goal.data or data, verify_keys)
    with _shared(origin), _shared(goal):
        try:
            copied = asyncio.run(copy_store(origin, goal, keys))
        except DifferenceError as difference:
            raise CommandError(
                f"the safe is not what its log says, so the copy stays unfinished: {difference.what}. To do:"
                f" {difference.advice}"
            ) from None
    if as_json:
        show_json({"from": str(origin), "to": str(goal), "tables": copied.counts, "root": copied.root})
        return
    say(f"Copied {origin} to {goal}: {sum(copied.counts.values())} rows.")
    say(f"{describe(copied.verified)}; the root of the log is {copied.root}")
    directory = origin.data or data
    if goal.address:
        say(
            f"To serve it, move {directory / DATABASE} away and put the address of the serving role into"
            f" {directory / STORE_URL}, with mode 0600."
        )
    else:
        say(f"To serve it, let it be {DATABASE} of a data directory with the safe's keys and without {STORE_URL}.")


def _check(origin: Location, goal: Location) -> None:
    """Refuse places that cannot be the source and the target of a copy.

    Raises:
        CommandError: with the place, and what to name instead.
    """
    if origin.path is not None and not origin.path.is_file():
        raise CommandError(f"{origin} does not exist: for the safe to copy, with {_FROM}, {FORMS}")
    if origin.is_same(goal):
        raise CommandError(f"{_FROM} and {_TO} name the same database, {origin}: with {_TO}, name an empty one")
    if goal.path is not None and not goal.path.parent.is_dir():
        raise CommandError(f"the folder of {goal} does not exist: create it, or name another file with {_TO}")


def _keys(data: Path, verify_keys: Path | None) -> VerifyKeys:
    """Return the public keys that verify the copy.

    Raises:
        CommandError: if they are not where they are expected, with the options that name them.
    """
    expected = DataDirectory(data).verify_keys
    if verify_keys is None and not expected.exists():
        raise CommandError(
            f"{expected} does not exist, and the copy is verified with the safe's keys: name its data directory with"
            " --data, or the file with --verify-keys"
        )
    return load_keys(data, verify_keys, needs_own=False)


@contextmanager
def _named(option: str, location: Location) -> Iterator[None]:
    """Let refusals of a PostgreSQL database name it, and the option that names it."""
    try:
        yield
    except NightsafeError as error:
        if location.address is None:
            raise
        raise NightsafeError(error.code, f"{option} {location}: {error.problems[0].detail}") from None


async def copy_store(origin: Location, goal: Location, keys: VerifyKeys) -> Copied:
    """Copy a safe, compare the copy with it, and verify it. The copy can be used only after all this.

    Args:
        origin: the safe.
        goal: an empty database, or an unfinished copy of the same safe.
        keys: the public keys that verify signatures.

    Raises:
        CommandError: if the safe has changed meanwhile, so that the copy is unfinished.
        DifferenceError: if the safe is not what its log says.
        NightsafeError: INVALID, if the goal is neither empty nor such a copy; STORE, if a database cannot be used.
    """
    async with AsyncExitStack() as stack:
        with _named(_FROM, origin):
            source, database = await stack.enter_async_context(_source(origin))
        if database is not None:
            check_column_types(database.db)
        with _named(_TO, goal):
            target = await stack.enter_async_context(_target(goal, await source.origin()))
        watch: Callable[..., Callable[[int], None]] = (lambda one: one) if database is None else database.watch
        with byte_bar(2 * await count_rows(source), "Copying") as report:
            await copy_rows(source, target, watch(report))
            counts = await compare_rows(source, target, watch(report))
        async with _finishing(source, target, database) as whole:
            verified = verify_with_progress(whole, keys)
            root = keys.open_checkpoint(note).root if (note := read_head(whole.db).checkpoint) else b""
            await _refuse_changed(origin, source)
    return Copied(counts, verified, b64encode(root).decode())


@asynccontextmanager
async def _source(origin: Location) -> AsyncIterator[tuple[Source, LogDatabase | None]]:
    """Open the safe as it is at this moment, with its database if it is a SQLite file."""
    if origin.address is not None:
        from nightsafe.store.postgres.copying import PostgresSource  # users of SQLite do not need its driver

        async with PostgresSource.open(origin.address) as source:
            yield source, None
        return
    assert origin.path is not None  # noqa: S101 - a location has one of the two
    with read_log(origin.path, _WORK) as database:
        yield SqliteSource(database.db), database


@asynccontextmanager
async def _target(goal: Location, origin: str) -> AsyncIterator[Target]:
    """Open the database that becomes the copy."""
    if goal.address is not None:
        from nightsafe.store.postgres.copying import PostgresTarget  # as above

        async with PostgresTarget.open(goal.address, origin, "store copy") as target:
            yield target
        return
    assert goal.path is not None  # noqa: S101 - as above
    with SqliteTarget.open(goal.path, origin) as file:
        yield file


@asynccontextmanager
async def _finishing(source: Source, target: Target, database: LogDatabase | None) -> AsyncIterator[LogDatabase]:
    """Give a SQLite database with the rows of the source. At the end of the block, the copy is finished."""
    if isinstance(target, SqliteTarget):
        with target.finishing():
            yield LogDatabase(target.db, _unwatched)
        return
    if database is not None:
        yield database
    else:
        with tempfile.TemporaryDirectory(prefix="nightsafe-") as folder:
            path = Path(folder) / DATABASE
            with SqliteTarget.open(path, await source.origin(), durable=False) as scratch:
                await copy_rows(source, scratch, lambda _: None)
                with scratch.finishing():
                    yield LogDatabase(scratch.db, _unwatched)
    await target.finish()


def _unwatched(report: Callable[[int], None]) -> Callable[[int], None]:
    """Return the report as it is, because no server writes to the database."""
    return report


async def _refuse_changed(origin: Location, copied: Source) -> None:
    """Refuse to finish a copy of a safe that has got new entries since the copy began."""
    async with _source(origin) as (source, _):
        new = await source.log_size() - await copied.log_size()
    if new:
        raise CommandError(
            f"{origin} has got {new} new entries meanwhile, so the copy stays unfinished: stop what serves it,"
            " and run the command again, which brings over the changes only"
        )


@contextmanager
def _shared(location: Location) -> Iterator[None]:
    """Hold the shared lock of a data directory."""
    if location.data is None:
        yield
        return
    refuse_unsafe(location.data)
    with recover_and_share(location.data):
        yield
