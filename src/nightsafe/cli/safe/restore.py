"""`nightsafe restore`: restores a safe from a backup."""

import sqlite3
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.data_directory.directory_swap import CannotSwapError
from nightsafe.cli.data_directory.identity_key import load_identity_key
from nightsafe.cli.data_directory.local_server import address_of
from nightsafe.cli.data_directory.ownership import refuse_unsafe
from nightsafe.cli.data_directory.placement import must_be_inside, new_safe, safe_parts
from nightsafe.cli.data_directory.recovery import BEFORE, recover_and_lock
from nightsafe.cli.node.restored_keys import keep_nodes
from nightsafe.cli.process.signals import exit_on_signals
from nightsafe.cli.safe.archive import IDENTITY_KEY, PRIVATE_RING, STREAM, Manifest, read_archive
from nightsafe.cli.safe.database_copy import integrity_problems, key_ids, newest_schema, open_read_only, schema_of
from nightsafe.cli.safe.followers import carry_over
from nightsafe.cli.safe.restored_store import RestoredStore, old_database, store_option
from nightsafe.cli.safe.ring_restore import merge_rings
from nightsafe.cli.settings.options import json_option, local_data_option
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import say, show_json
from nightsafe.cli.terminal.progress import byte_bar
from nightsafe.errors import NightsafeError
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.store.sqlite.engine.schema import check_own
from nightsafe.store.sqlite.identity_macs import has_mac_column, refused_rows

if TYPE_CHECKING:
    from nightsafe.store.postgres.engine.address import Address


class _Restored(NamedTuple):
    """A restored safe.

    Attributes:
        manifest: the backup's manifest.
        aside: the previous safe's path, or None.
        carried_over: the files of the previous safe that say how far its log was followed.
    """

    manifest: Manifest
    aside: Path | None
    carried_over: tuple[str, ...]


@click.command("restore")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@local_data_option
@store_option
@click.option("--force", is_flag=True, help="Rename an existing safe and restore in its place.")
@json_option
def command(*, data: Path, file: Path, store: "Address | None", force: bool, as_json: bool) -> None:
    """Restore a safe from a backup. The file - is standard input.

    The whole backup is checked before anything changes. An existing safe is never overwritten: with --force it is
    renamed, and its private ring is copied to the restored safe if it matches the public ring. The restored safe
    also gets the marks of the delivery process and the positions of the audit sinks.

    With --store the rows go to a PostgreSQL database, which no program uses before all of them are there.
    """
    if file == STREAM and (sys.stdin is None or sys.stdin.isatty()):
        raise CommandError("standard input is a terminal, or closed; redirect a backup to it, or name a file")
    server = address_of(data)
    if server is not None:
        raise CommandError(f"a server serves {data}, at {server}; stop it first")
    click.get_current_context().with_resource(exit_on_signals())
    refuse_unsafe(data)
    with recover_and_lock(data) as place:
        has_safe = _refuse(data, place, force=force)
        try:
            restored = _restore(file, place, store, has_safe=has_safe)
        except OSError as error:
            raise CommandError(f"{data} cannot be created: {error.strerror}") from None
    opens = (data / PRIVATE_RING).exists()
    if as_json:
        old_safe = None if restored.aside is None else str(restored.aside)
        fields = {"data": str(data), "aside": old_safe, "private_ring": opens, "carried_over": restored.carried_over}
        show_json(fields | restored.manifest.counts)
        return
    _report(data, restored)
    if not opens:
        say(f"It lacks the private ring: delivery needs the ring at {data / PRIVATE_RING}, or on its own machine.")


def _report(data: Path, restored: _Restored) -> None:
    """Say what was restored, and what to do before delivery starts again."""
    row_counts = ", ".join(f"{number} {what}" for what, number in restored.manifest.counts.items())
    made_on = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(restored.manifest.made_on))
    say(f"Restored {data} from the backup of {made_on}: {row_counts}")
    if restored.aside is not None:
        say(f"The previous safe is in {restored.aside}.")
    if restored.carried_over:
        say(f"Carried over from it: {', '.join(restored.carried_over)}.")
    if DataDirectory(data).marks.exists():
        say(
            "Delivery has seen the log of the previous safe. Before you start it again, run: nightsafe delivery"
            f" accept-restore --data {data}"
        )


def _refuse(data: Path, place: Path, *, force: bool) -> bool:
    """Refuse to overwrite anything. Return whether there is a safe to rename."""
    if data.is_symlink() and not place.exists():
        raise CommandError(
            f"{data} is a link without a target; create {place}, or name another directory with --data"
        )
    has_safe = bool(safe_parts(place))
    if has_safe and not force:
        raise CommandError(f"{data} already exists; name another directory with --data, or give --force to rename it")
    return has_safe


def _restore(file: Path, data: Path, store: "Address | None", *, has_safe: bool) -> _Restored:
    """Unpack a safe beside its place if possible, or else inside it."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    if data.is_dir() and (not has_safe or must_be_inside(data)):
        return _restore_to(file, data, store, aside=f"{BEFORE}{stamp}" if has_safe else "", inside=True)
    try:
        return _restore_to(file, data, store, aside=f"{data.name}.{BEFORE}{stamp}" if has_safe else "", inside=False)
    except CannotSwapError:
        return _restore_to(file, data, store, aside=f"{BEFORE}{stamp}", inside=True)


def _restore_to(file: Path, data: Path, store: "Address | None", *, aside: str, inside: bool) -> _Restored:
    """Unpack in a folder, check, and then put it in its place. Return what was restored."""
    with new_safe(data, "restore", inside=inside, aside=aside) as safe:
        with ExitStack() as stack:
            manifest = read_archive(
                file, safe.path, lambda read: stack.enter_context(byte_bar(read.size, "Unpacking"))
            )
        _check(safe.path, file)
        _authenticate_identities(DataDirectory(safe.path), file)
        DataDirectory(safe.path).private_ring.parent.mkdir(
            mode=0o700, exist_ok=True
        )  # for the copy that the operator puts there
        carried_over: tuple[str, ...] = ()
        if aside:
            _copy_private_ring(data, safe.path)
            with old_database(data) as old:
                carried_over = carry_over(DataDirectory(data), old, DataDirectory(safe.path))
                keep_nodes(DataDirectory(data), DataDirectory(safe.path))
                merge_rings(DataDirectory(data), old, DataDirectory(safe.path))
        restored = None if store is None else RestoredStore(store, DataDirectory(safe.path))
        if restored is not None:
            restored.fill()
        old_safe = safe.put_in_place()
        if restored is not None:
            restored.finish()
        return _Restored(manifest, old_safe, carried_over)


def _check(folder: Path, file: Path) -> None:
    """Refuse a backup that could not be served."""
    directory = DataDirectory(folder)
    with open_read_only(directory.database) as db:
        _refuse_foreign(db, file)
        problems = integrity_problems(db, thorough=True)
        schema, sealed_to, has_macs = schema_of(db), key_ids(db), has_mac_column(db)
    if problems:
        raise CommandError(f"the database in {file} is damaged: {problems[0]}")
    if not 1 <= schema <= newest_schema():
        raise CommandError(
            f"the database in {file} has schema version {schema}, and this program supports up to {newest_schema()}: "
            "use a newer program"
        )
    try:
        directory.safe()
        ring = PublicRing.load(directory.public_ring)
        if directory.private_ring.exists():
            PrivateRing.load(directory.private_ring).check_covers(ring)
        if directory.identity_key.exists():
            IdentityKey.load(directory.identity_key)
    except NightsafeError as error:
        raise CommandError(f"a key file in {file} cannot be used: {error.problems[0].detail}") from None
    if has_macs and not directory.identity_key.exists():
        raise CommandError(f"{file} lacks {IDENTITY_KEY}, without which no token or user in it counts")
    lost = sorted(sealed_to - {key.id for key in ring.keys})
    if lost:
        raise CommandError(f"values in {file} are sealed to keys that its ring does not have: {', '.join(lost)}")


def _authenticate_identities(directory: DataDirectory, file: Path) -> None:
    """Accept the identities of a backup from before the identity key. Of any other backup, count those that are not.

    Both are said, because a person must know which credentials count from now on.
    """
    if not directory.identity_key.exists():
        load_identity_key(directory.identity_key, directory.database)
        say(f"{file} is from before the identity key. Its tokens, users, memberships and accounts are accepted")
        say("as they are, and get MACs under a new key.")
        return
    with open_read_only(directory.database) as db:
        refused = len(refused_rows(db, IdentityKey.load(directory.identity_key))) if has_mac_column(db) else None
    if refused != 0:
        say(f"{refused or 'All'} rows of tokens, users, memberships and accounts in {file} lack their MACs,")
        say("and do not count. See them with: nightsafe token refused-rows")


def _refuse_foreign(db: sqlite3.Connection, file: Path) -> None:
    """Refuse a database with objects that this program does not create, before using any of it."""
    try:
        check_own(db)
    except NightsafeError as error:
        raise CommandError(f"{file} is not used: {error.problems[0].detail}") from None


def _copy_private_ring(data: Path, folder: Path) -> None:
    """Copy the previous safe's private ring if it opens the restored values and the backup has no private ring."""
    old, new = DataDirectory(data), DataDirectory(folder)
    if new.private_ring.exists() or not old.private_ring.exists():
        return
    try:
        ring = PrivateRing.load(old.private_ring)
        ring.check_covers(PublicRing.load(new.public_ring))
    except NightsafeError:
        return
    ring.save(new.private_ring)
