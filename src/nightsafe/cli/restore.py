"""`nightsafe restore`."""

import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import click

from nightsafe.cli.bar import byte_bar
from nightsafe.cli.data_directory import DataDirectory, sync
from nightsafe.cli.database_copy import complaints, key_ids, looked_at, newest_schema, schema_of
from nightsafe.cli.local_server import address_of
from nightsafe.cli.options import data_option, json_option
from nightsafe.cli.output import say, show_json
from nightsafe.cli.refusal import CommandError
from nightsafe.cli.ring_restore import keep_given_up
from nightsafe.cli.safe_copy import PRIVATE_RING, Manifest, read_archive
from nightsafe.errors import NightsafeError
from nightsafe.sealing.private_ring import PrivateRing
from nightsafe.sealing.public_ring import PublicRing


@click.command("restore")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@data_option
@click.option("--force", is_flag=True, help="Put a safe that is there aside, under another name.")
@json_option
def command(*, data: Path, file: Path, force: bool, as_json: bool) -> None:
    """Make a safe from a backup.

    The backup is checked to the last byte before anything is touched. A safe that is there is never overwritten: with
    --force it is put aside, and its private ring is taken over if it fits.
    """
    if address_of(data) is not None:
        raise CommandError(f"a server serves {data}; stop it first")
    taken = data.is_symlink() or (data.exists() and (not data.is_dir() or any(data.iterdir())))
    if taken and not force:
        raise CommandError(f"{data} is there already; name another with --data, or give --force to put it aside")
    try:
        manifest, aside = _restore(file, data, taken=taken)
    except OSError as error:
        raise CommandError(f"{data} cannot be made: {error.strerror}") from None
    opens = (data / PRIVATE_RING).exists()
    if as_json:
        put_aside = None if aside is None else str(aside)
        show_json({"data": str(data), "aside": put_aside, "private_ring": opens, **manifest.counts})
        return
    there = ", ".join(f"{number} {what}" for what, number in manifest.counts.items())
    made_on = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(manifest.made_on))
    say(f"{data} is what it was on {made_on}: {there}")
    if aside is not None:
        say(f"What was there is in {aside}.")
    if not opens:
        say(f"The private ring is not in it; the delivery side needs it at {data / PRIVATE_RING}, or where it runs.")


def _restore(file: Path, data: Path, *, taken: bool) -> tuple[Manifest, Path | None]:
    """Unpack beside the place, check, and only then move it there."""
    parent = data.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=".nightsafe-", dir=parent))
    try:
        with ExitStack() as stack:
            manifest = read_archive(
                file, building, lambda said: stack.enter_context(byte_bar(said.size, "Unpacking"))
            )
        _check(building, file)
        DataDirectory(building).private_ring.parent.mkdir(mode=0o700, exist_ok=True)  # a copy is put there by hand
        if taken:
            _take_ring_over(data, building)
            keep_given_up(DataDirectory(data), DataDirectory(building))
        aside = _put_aside(data) if taken else None
        try:
            _move(building, data)
        except OSError:
            if aside is not None:
                aside.rename(data)
            raise
        for folder in (data / "keys", data, parent):
            sync(folder)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return manifest, aside


def _check(building: Path, file: Path) -> None:
    """Refuse a safe that could not be served."""
    directory = DataDirectory(building)
    with looked_at(directory.database) as db:
        wrong = complaints(db, thorough=True)
        schema, sealed_to = schema_of(db), key_ids(db)
    if wrong:
        raise CommandError(f"the database in {file} is damaged: {wrong[0]}")
    if not 1 <= schema <= newest_schema():
        raise CommandError(
            f"the database in {file} has schema version {schema}, this program knows up to {newest_schema()}: "
            "use a newer program"
        )
    try:
        directory.safe()
        ring = PublicRing.load(directory.public_ring)
        if directory.private_ring.exists():
            PrivateRing.load(directory.private_ring).check_covers(ring)
    except NightsafeError as error:
        raise CommandError(f"a key file in {file} cannot be used: {error.problems[0].detail}") from None
    lost = sorted(sealed_to - {key.id for key in ring.keys})
    if lost:
        raise CommandError(f"values in {file} are sealed to keys that its ring does not have: {', '.join(lost)}")


def _take_ring_over(data: Path, building: Path) -> None:
    """Take the private ring of the safe that was there, if it opens what is restored and the backup has none."""
    old, new = DataDirectory(data), DataDirectory(building)
    if new.private_ring.exists() or not old.private_ring.exists():
        return
    try:
        ring = PrivateRing.load(old.private_ring)
        ring.check_covers(PublicRing.load(new.public_ring))
    except NightsafeError:
        return
    ring.save(new.private_ring)


def _put_aside(data: Path) -> Path:
    """Give what is there another name."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    aside = _free(lambda number: data.with_name(f"{data.name}.before-{stamp}{f'-{number}' if number else ''}"))
    data.rename(aside)
    return aside


def _free(name: Callable[[int], Path]) -> Path:
    """The first of some names that is not taken."""
    number = 0
    while name(number).exists():
        number += 1
    return name(number)


def _move(building: Path, data: Path) -> None:
    """Give the new safe its name; into a directory that is there and empty, which may be a mount, go its parts."""
    if not data.exists():
        building.rename(data)
        return
    for entry in sorted(building.iterdir(), key=lambda entry: entry.is_file()):
        shutil.move(entry, data / entry.name)
    building.rmdir()
    data.chmod(0o700)
