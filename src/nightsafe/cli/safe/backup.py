"""`nightsafe backup`: copies a safe to one file."""

import os
import secrets
import shutil
import sqlite3
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

import click

from nightsafe.audit.verification.row_check import missing_contents
from nightsafe.cli.data_directory.creation_plan import PREFIX
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.data_directory.ownership import refuse_exchangeable, refuse_unsafe
from nightsafe.cli.data_directory.recovery import recover_and_share, resolve_links
from nightsafe.cli.data_directory.working_folders import WorkingFolder, new_path, remove_leftover, working_folders
from nightsafe.cli.process.signals import exit_on_signals
from nightsafe.cli.safe.archive import (
    DATABASE,
    IDENTITY_KEY,
    NEEDED,
    PRIVATE_RING,
    STREAM,
    Manifest,
    new_manifest,
    write_archive,
)
from nightsafe.cli.safe.database_copy import (
    copy_database,
    counts,
    integrity_problems,
    newest_schema,
    open_read_only,
    schema_of,
)
from nightsafe.cli.settings.options import data_option, json_option
from nightsafe.cli.store.snapshot import take_snapshot
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import say, show_json
from nightsafe.cli.terminal.progress import byte_bar
from nightsafe.sealing.files import sync
from nightsafe.store.sqlite.engine.schema import check_own
from nightsafe.store.sqlite.identity_macs import has_mac_column

_FILE_KINDS: Final = (
    (stat.S_ISLNK, "a symbolic link: name its target"),
    (stat.S_ISDIR, "a directory: name a file in it"),
    (lambda _: True, "not a regular file: to write into it, use: nightsafe backup - > FILE"),
)


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@data_option
@click.option(
    "--with-private-ring",
    is_flag=True,
    help="Include the private ring, which opens every value. Without it, keep a copy of the ring elsewhere.",
)
@click.option("--force", is_flag=True, help="Replace an existing file.")
@json_option
def command(*, data: Path, file: Path, with_private_ring: bool, force: bool, as_json: bool) -> None:
    """Copy a safe to one file, even while it is being served. The file - is standard output.

    The copy is consistent, and is checked before it gets its name. It contains the secrets as they are stored, which
    is sealed, and the key files that serving needs. It contains the private ring only with --with-private-ring.
    """
    _refuse(data, with_private_ring=with_private_ring)
    if file == STREAM:
        _refuse_stream(as_json=as_json)
    else:
        _refuse_file(data, file, force=force)
    click.get_current_context().with_resource(exit_on_signals())
    try:
        with recover_and_share(data):
            manifest, lacks_code = _back_up(data, file, with_private_ring=with_private_ring, force=force)
    except OSError as error:
        if error.filename is not None and PREFIX not in str(error.filename) and str(error.filename) != str(file):
            raise  # the error is about another file; the general handler names it
        raise CommandError(f"{_target_name(file)} cannot be written: {error.strerror}") from None
    if as_json:
        fields = {"file": str(file), "size": manifest.size, "private_ring": with_private_ring}
        show_json({**fields, "lacks_code": lacks_code, **manifest.counts})
        return
    row_counts = ", ".join(f"{number} {what}" for what, number in manifest.counts.items())
    say(f"Copied {data} to {_target_name(file)}: {row_counts}")
    if with_private_ring:
        say("Anybody who has this file can open every value in it: protect it like the private ring.")
    else:
        say(
            f"It lacks the private ring ({data / PRIVATE_RING}): without a copy of that, the values cannot be opened."
        )


def _lacks_code(db: sqlite3.Connection) -> bool:
    """Return whether contents of a file are missing, and say so. The rest of the safe is still worth a backup."""
    missing = missing_contents(db, 1) if schema_of(db) == newest_schema() else []
    for sentence in missing:
        say(f"Warning: the backup lacks code, because {sentence}. Run: nightsafe doctor")
    return bool(missing)


def _target_name(file: Path) -> str:
    """Return the name of a target for messages."""
    return "standard output" if file == STREAM else str(file)


def _refuse(data: Path, *, with_private_ring: bool) -> None:
    """Refuse a safe that cannot be copied."""
    if not DataDirectory(data).is_safe:
        raise CommandError(f"there is no safe in {data}")
    refuse_unsafe(data)
    if with_private_ring and not (data / PRIVATE_RING).is_file():
        raise CommandError(f"{data / PRIVATE_RING} does not exist; leave out --with-private-ring")


def _refuse_stream(*, as_json: bool) -> None:
    """Refuse a standard output that cannot take a backup."""
    if as_json:
        raise click.UsageError(
            "--json prints to standard output, and so does the backup: name a file, or leave out --json"
        )
    if sys.stdout is None or sys.stdout.closed:
        raise CommandError("standard output is closed")
    if sys.stdout.isatty():
        raise CommandError("standard output is a terminal, and a backup is not text; redirect it, or name a file")


def _refuse_file(data: Path, file: Path, *, force: bool) -> None:
    """Refuse a target that others could exchange, is in the data directory, or may not be replaced."""
    refuse_exchangeable(resolve_links(file.absolute().parent) / file.name)
    if resolve_links(file.absolute().parent).is_relative_to(resolve_links(data)):
        raise CommandError(f"{file} would be in the data directory, and would be lost with it; name a file outside")
    try:
        mode = file.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise CommandError(f"{file} is {next(description for is_kind, description in _FILE_KINDS if is_kind(mode))}")
    if not force:
        raise CommandError(f"{file} already exists; give --force to replace it")


def _back_up(data: Path, file: Path, *, with_private_ring: bool, force: bool) -> tuple[Manifest, bool]:
    """Copy the safe, check the copy, pack it, and give the file its name last.

    Returns:
        The manifest, and whether the safe lacks contents of a file.
    """
    # The file decides, and not the database: an attacker who can write the database can give it an older schema, and
    # a backup without the key is restored with all its rows accepted.
    has_identity_key = (data / IDENTITY_KEY).exists()
    names = [*NEEDED, *([IDENTITY_KEY] if has_identity_key else []), *([PRIVATE_RING] if with_private_ring else [])]
    with _folder_for(data, file) as folder:
        copied = folder / DATABASE
        address = DataDirectory(data).address
        if address is not None:
            take_snapshot(address, copied)
        else:
            copy_database(data / DATABASE, copied)
        with open_read_only(copied) as db:
            problems = integrity_problems(db, thorough=False)
            if problems:
                raise CommandError(
                    f"the database is damaged ({problems[0]}); no backup is made. Run: nightsafe doctor"
                )
            check_own(db)
            if has_mac_column(db) and not has_identity_key:
                raise CommandError(f"{data / IDENTITY_KEY} is missing; no backup is made. Run: nightsafe token list")
            schema, row_counts, lacks_code = schema_of(db), counts(db), _lacks_code(db)
        # Copy the keys after the database: a ring may have gained a key since then, but it never loses one in use.
        files = {name: copied if name == DATABASE else _copy_file(data / name, folder) for name in names}
        manifest = new_manifest(files, schema, row_counts)
        if file == STREAM:
            _pack(sys.stdout.buffer, manifest, files)
        else:
            packed = folder / "packed"
            with packed.open("xb") as out:
                packed.chmod(0o600)
                _pack(out, manifest, files)
            _refuse_file(data, file, force=force)  # it may exist by now
            _give_name(packed, file, force=force)
    return manifest, lacks_code


def _pack(out: IO[bytes], manifest: Manifest, files: dict[str, Path]) -> None:
    """Write the archive. A regular file is on the disk when this returns."""
    with byte_bar(manifest.size, "Packing") as report:
        write_archive(out, manifest, files, report)
    out.flush()
    if stat.S_ISREG(os.fstat(out.fileno()).st_mode):
        os.fsync(out.fileno())


def _give_name(packed: Path, file: Path, *, force: bool) -> None:
    """Give a finished backup its name, durably."""
    if force:
        packed.replace(file)
    else:
        file.hardlink_to(packed)
    sync(file.absolute().parent)


def _copy_file(path: Path, folder: Path) -> Path:
    """Copy a file as it is at this moment. Return the copy's path."""
    copy = folder / f"{secrets.token_hex(4)}-{path.name}"
    shutil.copyfile(path, copy)
    return copy


@contextmanager
def _folder_for(data: Path, file: Path) -> Iterator[Path]:
    """Create a folder of mode 0700 on the target's file system, and remove it at the end.

    A link in the data directory points to it, so that the next command finds it if this one is killed.
    """
    parent = resolve_links(data) if file == STREAM else file.absolute().parent
    for leftover in working_folders(parent):
        remove_leftover(leftover)
    path = new_path(parent)
    link = resolve_links(data) / path.name
    if file != STREAM:
        with suppress(OSError):  # a user who may not write to the data directory goes without the link
            link.symlink_to(path)
    try:
        working_folder = WorkingFolder.create(path, "backup")
        try:
            yield path
        finally:
            with suppress(OSError):
                working_folder.remove()
    finally:
        if link.is_symlink():
            link.unlink()
