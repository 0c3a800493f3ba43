"""`nightsafe token refused-rows`: lists, accepts or deletes the rows that do not count as identities."""

from pathlib import Path
from typing import Any

import click

from nightsafe.api.http.times import format_time
from nightsafe.audit.verification.difference import counted
from nightsafe.cli.audit.script_macs import renew_script_macs
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.data_directory.identity_key import is_lost
from nightsafe.cli.data_directory.recovery import recover_and_share
from nightsafe.cli.safe.database_copy import open_read_only
from nightsafe.cli.settings.options import data_option, json_option
from nightsafe.cli.store.snapshot import rows_file
from nightsafe.cli.terminal.confirm import confirm, yes_option
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import say, show_json, show_table
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.services.identity.operator import accept_rows, delete_rows
from nightsafe.store.identities import Account, Identity, Membership, RefusedRow, Token, User
from nightsafe.store.interface import Store
from nightsafe.store.postgres.refused_rows import recognisable_rows
from nightsafe.store.sqlite.identity_macs import refused_rows
from nightsafe.store.sqlite.script_macs import scripts_without_mac


@click.command("refused-rows")
@data_option
@click.option("--accept", is_flag=True, help="Accept every listed row as it is shown.")
@click.option("--delete", is_flag=True, help="Delete every listed row.")
@yes_option
@json_option
def command(data: Path, *, accept: bool, delete: bool, yes: bool, as_json: bool) -> None:
    """List, accept or delete rows of credentials that do not count.

    Rows of tokens, users, memberships and accounts count only with the MAC that Nightsafe made for them.

    Such a row was written or changed by something other than Nightsafe, or under an identity key that was lost.
    Accept rows only if you know each of them: an accepted token or user has all the rights that the row names.

    The key also makes a MAC for each script, without which the script cannot be changed. --accept renews these,
    provided that the whole database is what the audit log says.
    """
    _refuse_options(accept=accept, delete=delete, asks=not as_json or yes)
    directory = DataDirectory(data)
    with recover_and_share(directory.path):
        directory.check()
        lost, places = _is_lost(directory)
        advice = f"{directory.identity_key} is missing, so no row counts; restore it from {places}, or give --accept"
        if lost and delete:
            raise CommandError(advice)
        key = None if lost else directory.load_identity_key()
        rows, scripts = _refused(directory, key)
        fields = [{"table": row.table, "id": row.name} | _fields(row) for row in rows]
        if rows and not as_json:
            show_table(("name", "table", "contents"), [list(_cells(**row)) for row in fields])
        if scripts:
            say(f"{counted(scripts, 'script')} without a right MAC cannot be changed: --accept renews it.")
        if accept and (rows or scripts or lost):
            key_words = ", under a new key that every node needs" if lost and directory.address else ""
            confirm(f"Accept these {len(rows)} rows with all the rights that they name{key_words}?", yes=yes)
            _accept(directory, rows, lost=lost)
            renew_script_macs(directory)
        elif delete and rows:
            confirm(f"Delete these {len(rows)} rows?", yes=yes)
            directory.run_unlocked(lambda store: delete_rows(store, rows))
            say(f"Deleted {len(rows)} rows.")
        elif lost:
            say(advice)
        elif not rows and not scripts:
            say("Every row counts.")
        if as_json:
            show_json({"key_lost": lost, "rows": fields, "scripts": scripts})


def _is_lost(directory: DataDirectory) -> tuple[bool, str]:
    """Return whether the identity key is lost, and where it may still be."""
    if directory.address is not None:
        return not directory.identity_key.exists(), "another node or a backup"
    return is_lost(directory.identity_key, directory.database), "a backup"


def _refuse_options(*, accept: bool, delete: bool, asks: bool) -> None:
    """Refuse options that do not fit together; `asks` is False if the question can be neither asked nor omitted."""
    if accept and delete:
        raise click.UsageError("give --accept or --delete, not both")
    if (accept or delete) and not asks:
        raise click.UsageError("--json asks no question: give --yes too")


def _refused(directory: DataDirectory, key: IdentityKey | None) -> tuple[list[RefusedRow], int]:
    """Return the rows that do not count under a key, and how many scripts it refuses; everything without a key."""
    if key is not None:
        directory.run_unlocked(_do_nothing)  # opening the store migrates its schema
    with rows_file(directory) as path, open_read_only(path) as db:
        rows = refused_rows(db, key)
        if directory.address is not None:
            rows = recognisable_rows(db, rows)
        if key is None:
            return rows, db.execute("SELECT count(*) FROM scripts").fetchone()[0]
        return rows, sum(1 for _ in scripts_without_mac(db, key))


async def _do_nothing(_: Store) -> None:
    """Leave the store as it is."""


def _accept(directory: DataDirectory, rows: list[RefusedRow], *, lost: bool) -> None:
    """Accept exactly the given rows, and make a new key first if the old one was lost."""
    if lost:
        IdentityKey.generate().save(directory.identity_key)
    if rows:
        directory.run_unlocked(lambda store: accept_rows(store, rows))
        say(f"Accepted {len(rows)} rows.")
    if lost:
        then = (
            "copy it to every other node, and restart all" if directory.address else "restart the server, if one runs"
        )
        say(f"They count under a new key in {directory.identity_key}: {then}.")


def _fields(row: RefusedRow) -> dict[str, Any]:
    """Return what a row grants, and to whom; never the hash of a credential."""
    return {"malformed": True} if row.identity is None else _fields_of(row.identity)


def _fields_of(identity: Identity) -> dict[str, Any]:
    """Return the fields of an identity."""
    match identity:
        case Account():
            return {"name": identity.name, "created_on": format_time(identity.created_on)}
        case User():
            return {"email": identity.email, "service_key": identity.service_key_digest is not None}
        case Membership():
            return {"policies": _shown(identity.policies)}
        case Token():
            return {
                "name": identity.name,
                "owner": f"account {identity.account_id}" if identity.account_id else f"user {identity.user_id}",
                "status": identity.status,
                "not_before": None if identity.not_before is None else format_time(identity.not_before),
                "expires_on": None if identity.expires_on is None else format_time(identity.expires_on),
                "condition": _shown(identity.condition),
                "policies": _shown(identity.policies),
            }


def _shown(encoded: bytes) -> str:
    """Return JSON as it is stored; it may be anything."""
    return encoded.decode(errors="replace")


def _cells(table: str, id: str, **fields: object) -> tuple[str, str, str]:  # noqa: A002 - its name in the output
    """Return a row's cells in the table: its other fields are in one, without those that are empty."""
    return id, table, ", ".join(f"{name} {value}" for name, value in fields.items() if value not in {None, False, ""})
