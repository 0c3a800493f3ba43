"""`nightsafe backup`."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click

from nightsafe.cli.bar import byte_bar
from nightsafe.cli.database_copy import complaints, copy_database, counts, looked_at, schema_of
from nightsafe.cli.options import data_option, json_option
from nightsafe.cli.output import say, show_json
from nightsafe.cli.refusal import CommandError
from nightsafe.cli.safe_copy import DATABASE, NEEDED, PRIVATE_RING, Manifest, new_manifest, write_archive


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@data_option
@click.option(
    "--with-private-ring", is_flag=True, help="Also what opens every value; without it, keep that elsewhere."
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@json_option
def command(*, data: Path, file: Path, with_private_ring: bool, force: bool, as_json: bool) -> None:
    """Copy a safe into one file, also while it is served.

    The copy is consistent, and checked before it gets its name. Secrets are in it as they are stored: sealed. So that
    the safe can be served again the key files come along, but for the private ring.
    """
    _refuse(data, file, force=force, with_private_ring=with_private_ring)
    try:
        manifest = _back_up(data, file, with_private_ring=with_private_ring, force=force)
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {error.strerror}") from None
    if as_json:
        show_json({"file": str(file), "size": manifest.size, "private_ring": with_private_ring, **manifest.counts})
        return
    there = ", ".join(f"{number} {what}" for what, number in manifest.counts.items())
    say(f"{data} is in {file}: {there}")
    if with_private_ring:
        say("Who has this file can open every value in it: keep it as you keep the private ring.")
    else:
        say(f"The private ring ({data / PRIVATE_RING}) is not in it: without a copy of that nobody opens the values.")


def _refuse(data: Path, file: Path, *, force: bool, with_private_ring: bool) -> None:
    """Refuse what cannot be."""
    if not (data / DATABASE).is_file():
        raise CommandError(f"there is no safe in {data}")
    if with_private_ring and not (data / PRIVATE_RING).is_file():
        raise CommandError(f"{data / PRIVATE_RING} is not there; leave out --with-private-ring")
    if file.exists() and not force:
        raise CommandError(f"{file} is there already; give --force to replace it")


def _back_up(data: Path, file: Path, *, with_private_ring: bool, force: bool) -> Manifest:
    """Copy, check, pack, and only then give it its name."""
    names = [*NEEDED, PRIVATE_RING] if with_private_ring else [*NEEDED]
    with _folder_beside(file) as folder:
        copied = folder / DATABASE
        copy_database(data / DATABASE, copied)
        with looked_at(copied) as db:
            wrong = complaints(db, thorough=False)
            if wrong:
                raise CommandError(f"the database is damaged ({wrong[0]}); no backup is made. Run: nightsafe doctor")
            schema, there = schema_of(db), counts(db)
        # The keys after the database: a key that came meanwhile is in them, and none leaves a ring that is in use.
        files = {name: copied if name == DATABASE else _held(data / name, folder) for name in names}
        manifest = new_manifest(files, schema, there)
        packed = folder / "packed"
        with packed.open("xb") as out, byte_bar(manifest.size, "Packing") as told:
            packed.chmod(0o600)
            write_archive(out, manifest, files, told)
            _sync(out)
        if force:
            packed.replace(file)
        else:
            file.hardlink_to(packed)
    return manifest


def _held(path: Path, folder: Path) -> Path:
    """A file as it is at this moment."""
    kept = folder / f"{secrets.token_hex(4)}-{path.name}"
    shutil.copyfile(path, kept)
    return kept


@contextmanager
def _folder_beside(file: Path) -> Iterator[Path]:
    """A folder of mode 0700 on the disk that the file is to be on, gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix=f".{file.name}.", dir=file.absolute().parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sync(out: IO[bytes]) -> None:
    """On the disk when this returns."""
    out.flush()
    os.fsync(out.fileno())
