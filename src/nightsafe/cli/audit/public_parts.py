"""`nightsafe audit key` and `checkpoint`: print what other programs need to follow the log."""

from pathlib import Path

import click

from nightsafe.audit.verification.log_check import open_note, read_head
from nightsafe.cli.audit.database_source import backup_option, load_keys, open_log, verify_keys_option
from nightsafe.cli.settings.options import data_option, json_option
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import show_json
from nightsafe.merkle.checkpoint import NoteKey


@click.command("key")
@data_option
@backup_option
@verify_keys_option
@json_option
def key(*, data: Path, backup: Path | None, verify_keys: Path | None, as_json: bool) -> None:
    """Print the log's public keys for other tools.

    Each line is a verifier key (vkey), as tools for C2SP signed notes and checkpoints take it: one for each node.
    Retired keys sign no new checkpoint; only the JSON output names them.
    """
    keys = load_keys(data, verify_keys, needs_own=backup is not None)
    with open_log(data, backup, "command") as database:
        origin = read_head(database.db).origin
    in_use, retired = (
        [NoteKey(origin, one.public).encode() for one in keys.keys if (one.until is not None) is is_retired]
        for is_retired in (False, True)
    )
    if as_json:
        show_json({"origin": origin, "keys": in_use, "retired": retired})
    else:
        click.echo("\n".join(in_use))


@click.command("checkpoint")
@data_option
@backup_option
@verify_keys_option
@json_option
def checkpoint(*, data: Path, backup: Path | None, verify_keys: Path | None, as_json: bool) -> None:
    """Print the newest signed checkpoint of the log.

    The command checks its signature first. Keep it elsewhere: `audit verify --from` then shows whether the log was
    cut or put back since.
    """
    keys = load_keys(data, verify_keys, needs_own=backup is not None)
    with open_log(data, backup, "command") as database:
        note = bytes(read_head(database.db).checkpoint)
    if not note:
        raise CommandError("the log has no checkpoint yet: the next change makes one")
    opened = open_note(note, keys)
    if as_json:
        show_json({"origin": opened.origin, "size": opened.size, "note": note.decode()})
    else:
        click.echo(note, nl=False)
