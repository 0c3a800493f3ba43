"""`nightsafe keys`: shows and rotates the keys that values are sealed to."""

import json
from pathlib import Path

import click

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.data_directory.recovery import recover_and_share
from nightsafe.cli.keys import ring_files
from nightsafe.cli.keys.reseal import command as reseal
from nightsafe.cli.keys.status import status
from nightsafe.cli.settings.options import FILE, data_option, json_option
from nightsafe.cli.terminal.confirm import confirm, yes_option
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.suite import Suite
from nightsafe.services.key_rotation.recipient_keys import (
    RecipientKeyRecord,
    recipient_key_record,
    record_ring,
    refuse_in_use,
    retire_key,
)

_private_option = click.option(
    "--private-ring", type=FILE, help="File of the private ring.  [default: in the data directory]"
)


@click.group("keys")
def command() -> None:
    """Rotate the keys that values are sealed to.

    A running server reloads a changed ring before it seals the next value.
    """


command.add_command(reseal)
command.add_command(status)


@command.command("rotate")
@data_option
@_private_option
@click.option("--public-ring", type=FILE, help="File of the public ring to write.  [default: in the data directory]")
@click.option(
    "--suite",
    type=click.Choice([suite.value for suite in Suite]),
    help="Suite of the new key.  [default: the suite of the primary key]",
)
@json_option
def rotate(
    data: Path, private_ring: Path | None, public_ring: Path | None, suite: str | None, *, as_json: bool
) -> None:
    """Create a new primary key. New values are sealed to it; older values still open, and are then resealed.

    If the private ring and the data directory are on different machines, run this where the private ring is and name
    both files. Then copy the public ring to the other machine and run there: nightsafe keys install.
    """
    directory = DataDirectory(data)
    private, public = private_ring or directory.private_ring, public_ring or directory.public_ring
    in_use = public == directory.public_ring and directory.is_safe
    _lock(directory, private, public)
    key_record = directory.run(recipient_key_record) if in_use else RecipientKeyRecord()
    result = ring_files.rotate(private, public, None if suite is None else Suite(suite), key_record)
    problem = _try_to_store_ring_number(directory) if in_use else ""
    if as_json:
        click.echo(json.dumps(result._asdict()))
    else:
        action = "Finished an interrupted rotation" if result.resumed else "Rotated"
        click.echo(f"{action} from {result.before} to {result.primary}.")
        click.echo(f"Keep a new copy of {private}: older copies do not open values that are sealed from now on.")
    if problem:
        raise CommandError(
            f"the rings are rotated, but the audit log has no entry of that yet ({problem}): the server writes it"
            " when it starts"
        )


@command.command("sign")
@data_option
@_private_option
@click.option("--public-ring", type=FILE, help="File of the public ring.  [default: in the data directory]")
@json_option
def sign(data: Path, private_ring: Path | None, public_ring: Path | None, *, as_json: bool) -> None:
    """Add a signer to an older, unsigned ring.

    The signer is the key that signs the next ring, and clients need it to follow the next rotation. Run this once,
    where the private ring is. If the data directory is on another machine, then copy the public ring there and run:
    nightsafe keys install.
    """
    directory = DataDirectory(data)
    private, public = private_ring or directory.private_ring, public_ring or directory.public_ring
    _lock(directory, private, public)
    ring = ring_files.sign(private, public)
    _print_result(
        ring.primary.id,
        f"now names the signer of the next ring; the ring's fingerprint is {ring.identity.fingerprint}",
        as_json=as_json,
    )


@command.command("install")
@data_option
@click.argument("file", type=FILE)
@json_option
def install(data: Path, file: Path, *, as_json: bool) -> None:
    """Install a public ring from another machine.

    Run this where `serve` runs, with the ring that was made on the machine of the private ring. The command refuses a
    ring that is older than the current one.
    """
    directory = DataDirectory(data)
    _lock(directory, directory.public_ring)
    ring = ring_files.install(file, directory.public_ring, directory.run(recipient_key_record))
    _store_ring_number(directory)
    result = {"primary": ring.primary.id, "number": ring.number, "keys": [key.id for key in ring.keys]}
    click.echo(json.dumps(result) if as_json else f"New values are sealed to {ring.primary.id} from now on.")


@command.command("retire")
@data_option
@_private_option
@click.option(
    "--in-use", is_flag=True, help="Retire the key even while values are sealed to it; these values still open."
)
@click.argument("key_id", metavar="KEY")
@json_option
def retire(data: Path, private_ring: Path | None, key_id: str, *, in_use: bool, as_json: bool) -> None:
    """Retire a key: no new value is accepted under it, from any client.

    The command refuses while values are sealed to the key.
    """
    directory = DataDirectory(data)
    private = private_ring or directory.private_ring
    _lock(directory, directory.public_ring, *_in_existing_folders(private))
    ring_files.check_retirable(directory.public_ring, key_id)
    directory.run(lambda store: retire_key(store, key_id, in_use=in_use))
    ring_files.retire(directory.public_ring, private, key_id)
    _print_result(key_id, "is retired: it takes no new values", as_json=as_json)


@command.command("remove")
@data_option
@_private_option
@click.option(
    "--public-ring",
    type=FILE,
    help="With --unchecked: a copy of the public ring, from which the key is removed too.",
)
@click.option(
    "--unchecked", is_flag=True, help="Skip the search for values under the key, on a machine without the database."
)
@yes_option
@click.argument("key_id", metavar="KEY")
@json_option
def remove(  # noqa: PLR0913 - one for each option
    data: Path,
    private_ring: Path | None,
    public_ring: Path | None,
    key_id: str,
    *,
    unchecked: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Delete a retired key. Values sealed to it, also those in backups, can never be opened again."""
    directory = DataDirectory(data)
    private = private_ring or directory.private_ring
    copies = [public_ring] if public_ring else []
    _lock(directory, *_in_existing_folders(directory.public_ring, private, *copies))
    _check_flags(directory, private, public_ring, unchecked=unchecked)
    if _is_removed(directory, private, key_id):  # an interrupted command removed it
        _print_result(key_id, "is removed", as_json=as_json)
        return
    if private.exists():
        ring_files.check_removable(private, public_ring, key_id)
    question = f"Delete the key {key_id}? Values sealed to it, also in backups, can never be opened again. Go on?"
    if not unchecked:
        _check_public(directory, key_id)
    confirm(question, yes=yes)
    if not unchecked:
        _remove_public(directory, key_id)
    if private.exists():
        ring_files.remove_private(private, public_ring, key_id)
    _print_result(key_id, "is removed", as_json=as_json)


def _check_flags(directory: DataDirectory, private: Path, public_ring: Path | None, *, unchecked: bool) -> None:
    """Refuse flags that belong on the other of two machines.

    Raises:
        NightsafeError: INVALID.
    """
    if directory.is_safe:
        if unchecked or public_ring is not None:
            flag = "--unchecked" if unchecked else "--public-ring"
            raise NightsafeError(Code.INVALID, f"there is a database in {directory.path}: leave out {flag}")
    elif not unchecked:
        raise NightsafeError(
            Code.INVALID,
            f"there is no database in {directory.path} to look for values in: remove the key on the API's machine "
            "first, then give --unchecked here",
        )
    elif not private.exists():
        raise NightsafeError(Code.INVALID, f"there is no private ring at {private}; name it with --private-ring")


def _check_public(directory: DataDirectory, key_id: str) -> None:
    """Refuse a key that is in use, before asking for a confirmation."""
    ring_files.is_retired(directory.public_ring, key_id)
    directory.run(lambda store: refuse_in_use(store, key_id))


def _store_ring_number(directory: DataDirectory) -> None:
    """Store the public ring's number in the database, so that an older ring is never accepted again."""
    ring = PublicRing.load(directory.public_ring)
    directory.run(lambda store: record_ring(store, ring, str(directory.public_ring)))


def _try_to_store_ring_number(directory: DataDirectory) -> str:
    """Store the public ring's number in the database; return why that failed, or ""."""
    try:
        _store_ring_number(directory)
    except NightsafeError as error:
        return error.problems[0].detail
    return ""


def _remove_public(directory: DataDirectory, key_id: str) -> None:
    """Remove a key from the public ring, after checking that no value is or will be sealed to it."""
    if ring_files.is_retired(directory.public_ring, key_id):
        directory.run(lambda store: retire_key(store, key_id))
        ring_files.remove_public(directory.public_ring, key_id)
    else:
        directory.run(lambda store: refuse_in_use(store, key_id))


def _is_removed(directory: DataDirectory, private: Path, key_id: str) -> bool:
    """Return whether a key that the database knows as retired is in neither ring."""
    if not directory.is_safe or PublicRing.load(directory.public_ring).get(key_id) is not None:
        return False
    if private.exists() and PrivateRing.load(private).get(key_id) is not None:
        return False
    return key_id in directory.run(lambda store: store.retired_keys())


def _lock(directory: DataDirectory, *files: Path) -> None:
    """Until the command ends, share the data directory with its server, and lock these files.

    Raises:
        NightsafeError: as for `recover_and_share` and `ring_files.lock_rings`.
    """
    context = click.get_current_context()
    context.with_resource(recover_and_share(directory.path))
    context.with_resource(ring_files.lock_rings(*files))


def _in_existing_folders(*files: Path) -> list[Path]:
    """Return the files whose directories exist."""
    return [file for file in files if file.parent.is_dir()]


def _print_result(key_id: str, message: str, *, as_json: bool) -> None:
    """Print the result for a key."""
    click.echo(json.dumps({"id": key_id}) if as_json else f"{key_id} {message}")
