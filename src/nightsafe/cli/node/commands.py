"""`nightsafe node`: adds, lists and retires the API nodes of one database."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.data_directory.recovery import recover_and_share
from nightsafe.cli.keys.ring_files import lock_rings
from nightsafe.cli.node.node_directory import make_node
from nightsafe.cli.node.rows import node_rows
from nightsafe.cli.process.signals import exit_on_signals
from nightsafe.cli.settings.options import data_option, json_option
from nightsafe.cli.terminal.output import show_json, show_table
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKey, VerifyKeys, check_node_name
from nightsafe.store.interface import Store

_PLACES = (
    "the data directory of every other node, keys/verify-keys.json",
    "every delivery process, the file of --verify-keys",
    "everyone who verifies the log, their copy for `nightsafe audit verify`",
)


@click.group("node")
def command() -> None:
    """Add and retire API nodes that serve one database.

    Each node has a signing key of its own. The file keys/verify-keys.json lists the keys of all nodes. Run these
    commands on one data directory, then copy its file to the others: running processes take it up.
    """


@command.command("add")
@data_option
@click.argument("name")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="The new node's data directory, to be created.",
)
@json_option
def add(data: Path, name: str, output: Path, *, as_json: bool) -> None:
    """Make the data directory of a new node, and list its key.

    The directory gets a new signing key, and copies of the public ring, the identity key, the verify keys and the
    database's address. Never start the node before every other place knows its key: what it signs would be refused.
    """
    check_node_name(name)
    click.get_current_context().with_resource(exit_on_signals())
    directory = DataDirectory(data)
    _lock(directory)
    _refuse_own_database(directory)
    taken = next((key for key in VerifyKeys.load(directory.verify_keys).keys if key.name == name), None)
    if taken is not None:
        raise NightsafeError(
            Code.INVALID, f"there is a node {name} already, with the key {taken.id}: take another name"
        )
    key, keys = make_node(directory, output, name)
    keys.save(directory.verify_keys, replace=True)
    if as_json:
        show_json({"name": name, "id": key.id, "data": str(output), "verify_keys": str(directory.verify_keys)})
        return
    click.echo(f"Made {output} for the node {name}, whose key is {key.id}.")
    _say_places(directory, "Before you start the node, copy")
    click.echo("Add the node's line of `nightsafe audit key` to every witness's list of logs, and send it SIGHUP.")
    click.echo(f"Then move {output} to the node's machine, and start it: nightsafe serve")


@command.command("list")
@data_option
@json_option
def list_(data: Path, *, as_json: bool) -> None:
    """List the nodes and their keys, as in keys/verify-keys.json."""
    directory = DataDirectory(data)
    rows = node_rows(directory)
    if as_json:
        show_json({"nodes": rows})
        return
    show_table(
        ("name", "id", "state", "here"),
        [[row["name"] or "-", row["id"], _state(row), "yes" if row["here"] else ""] for row in rows],
    )


@command.command("retire")
@data_option
@click.argument("name", metavar="NAME_OR_KEY")
@click.option("--again", is_flag=True, help="Retire a retired key as of now: at the log's present size.")
@json_option
def retire(data: Path, name: str, *, again: bool, as_json: bool) -> None:
    """Retire a node's key. Nothing new that it signs is accepted.

    What it has signed stays valid. Stop the node first: changes that it makes afterwards are in the log, but nobody
    accepts their signature.
    """
    directory = DataDirectory(data)
    _lock(directory)
    listed = VerifyKeys.load(directory.verify_keys)
    key = _retirable(directory, listed, name, again=again)
    in_use = listed.with_key(replace(key, until=None))
    until = directory.run_unlocked(lambda store: _log_size(store, in_use))
    listed.retired(key, until).save(directory.verify_keys, replace=True)
    if as_json:
        show_json({"name": key.name, "id": key.id, "until": until})
        return
    click.echo(
        f"Retired the key {key.words}: it is trusted for the first {until} entries of the log, and no further."
    )
    click.echo("If its node still runs, stop it now, and run this command with --again.")
    _say_places(directory, "Copy")
    click.echo("Remove the node's line from every witness's list of logs, and delete the node's data directory.")
    click.echo("If somebody else has the key, read docs/nodes.md: a stolen key is not harmless yet.")


def _state(row: dict[str, Any]) -> str:
    """Return the state of a node's key in words."""
    return "in use" if row["until"] is None else f"retired at {row['until']} entries"


def _retirable(directory: DataDirectory, listed: VerifyKeys, name: str, *, again: bool) -> VerifyKey:
    """Return the key that a name or an id means.

    Raises:
        NightsafeError: INVALID, if there is none or it cannot be retired from this directory.
    """
    key = next((key for key in listed.keys if name in {key.id, key.name}), None)
    if key is None:
        raise NightsafeError(Code.INVALID, f"{directory.verify_keys} lists no such node; see: nightsafe node list")
    if key.id == SigningKey.load(directory.signing_key).id:
        raise NightsafeError(
            Code.INVALID,
            f"{key.id} is the key of {directory.path} itself, which could then change nothing more: retire it from"
            " the data directory of another node, named with --data",
        )
    if key.until is not None and not again:
        raise NightsafeError(
            Code.INVALID,
            f"the key {key.words} is retired already, at {key.until} entries. To retire it as of now, because your"
            " node ran on or the database was restored, give --again",
        )
    return key


async def _log_size(store: Store, keys: VerifyKeys) -> int:
    """Return the number of the log's entries, as one of these keys has signed it."""
    note = await store.checkpoint()
    return keys.open_checkpoint(note).size if note else 0


def _refuse_own_database(directory: DataDirectory) -> None:
    """Refuse a safe whose database is a file, which one machine has.

    Raises:
        NightsafeError: INVALID.
    """
    if directory.address is None and directory.database.exists():
        raise NightsafeError(
            Code.INVALID,
            f"the database of this safe is the file {directory.database}, so no other machine can serve it. On this"
            " machine `nightsafe serve --workers` starts further processes, which share one key",
        )


def _lock(directory: DataDirectory) -> None:
    """Until the command ends, share the data directory with its server, and lock the key files.

    Raises:
        NightsafeError: as for `recover_and_share` and `lock_rings`.
    """
    context = click.get_current_context()
    context.with_resource(recover_and_share(directory.path))
    context.with_resource(lock_rings(directory.verify_keys))


def _say_places(directory: DataDirectory, begin: str) -> None:
    """Print the places that need the new file."""
    click.echo(f"{begin} {directory.verify_keys} to these places, which take it up without a restart:")
    for place in _PLACES:
        click.echo(f"  - {place}")
