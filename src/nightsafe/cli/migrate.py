"""`nightsafe migrate`: brings over a safe that is older than its transparency log."""

from pathlib import Path
from typing import Final

import click
from msgspec import Struct, to_builtins
from msgspec.structs import replace

from nightsafe.audit.verification.value_check import unstated_values
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.data_directory.recovery import recover_and_share
from nightsafe.cli.safe.database_copy import newest_schema, open_read_only, schema_of
from nightsafe.cli.settings.options import data_option, json_option
from nightsafe.cli.store.migration import migrate_schema, schema_words
from nightsafe.cli.store.snapshot import rows_file
from nightsafe.cli.terminal.confirm import confirm, yes_option
from nightsafe.cli.terminal.output import say, show_json
from nightsafe.cli.terminal.progress import step_bar
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.services.audit.older_rows import count_scripts, every_script, state_script
from nightsafe.services.audit.older_values import OlderValues
from nightsafe.services.key_rotation.resealing import location_of_value
from nightsafe.store.interface import Store

_MOST_NAMES: Final = 20


class _State(Struct, frozen=True, kw_only=True):
    """How far a safe is.

    Attributes:
        scripts: the number of scripts.
        older: the number of scripts that serve something without a statement.
        older_values: the number of values without a statement that were signed when they were written.
        refused_values: the other values without a statement, in words. They stay as they are.
        open: whether the safe still states older rows.
        statements: the number of statements that this command has made.
    """

    scripts: int
    older: int
    older_values: int
    refused_values: tuple[str, ...]
    open: bool
    statements: int = 0


@click.command("migrate")
@data_option
@click.option("--status", is_flag=True, help="Only show how much is older than the log.")
@yes_option
@json_option
def command(data: Path, *, status: bool, yes: bool, as_json: bool) -> None:
    """State in the log what was written before the safe had a log.

    Delivery takes only what was signed when it was written. What an older version of Nightsafe wrote is signed as it
    is when it is first delivered, until this command has signed the rest of it. Values were signed one by one; each
    gets its statement if its signature is valid. The command can run beside a server; restart the server afterwards.

    With a PostgreSQL database, the command first migrates the schema, with the role that owns the tables. Nodes of
    the older version go on to work meanwhile and afterwards.
    """
    if as_json and not (status or yes):
        raise click.UsageError("--json asks no question: give --yes too")
    directory = DataDirectory(data)
    if directory.address is not None and not _migrate_postgres(directory, status=status, as_json=as_json):
        return
    with recover_and_share(directory.path):
        if directory.address is None and status and _report_older_schema(directory, as_json=as_json):
            return
        before = _state_of(directory)
        if status or not (before.older or before.older_values or before.open):
            _report(before, as_json=as_json)
            return
        if not before.open:
            say("This safe was as old as its log, or has been brought over.")
            _report(before, as_json=False)
            confirm("Sign the code, settings, bindings and values that are not in the log, as they are now?", yes=yes)
            directory.accept_older_rows()
        safe = directory.safe()

        async def work(store: Store) -> int:
            """State everything, with a progress bar."""
            values = await OlderValues(store, safe).state_all()
            scripts = [ref async for ref in every_script(store)]
            with step_bar(scripts, "Scripts") as steps:
                return values + sum([await state_script(store, ref) for ref in steps])

        statements = directory.run_unlocked(work)
        directory.refuse_older_rows()
        _report(replace(_state_of(directory), statements=statements), as_json=as_json)
        if directory.address is not None:
            say(
                f"Copy {directory.identity_key} to all other nodes and restart all: until then, they take older rows."
            )


def _migrate_postgres(directory: DataDirectory, *, status: bool, as_json: bool) -> bool:
    """Migrate the schema of a PostgreSQL database, or only look, and print its version.

    Return True if the database has the newest schema, and may have rows that are older than the log: such a safe was
    copied or restored from SQLite. Then the state of these rows is printed as JSON, in place of the version.
    """
    assert directory.address is not None  # noqa: S101 - the caller checks it
    found = migrate_schema(directory.address, directory.patience, status=status)
    is_older = found.schema < found.newest_schema
    has_rows = not is_older and directory.identity_key.exists() and directory.load_identity_key().states_older_rows
    if not as_json:
        upgrade = ": nightsafe migrate upgrades it" if is_older else ""
        say(f"{schema_words('PostgreSQL', *found)}{upgrade}.")
    elif not has_rows:
        show_json(found._asdict())
    return has_rows


def _report_older_schema(directory: DataDirectory, *, as_json: bool) -> bool:
    """Print the schema of a database if it is an older one, which stays as it is; return True if it is one."""
    directory.check()
    with open_read_only(directory.database) as db:
        schema = schema_of(db)
    if schema >= newest_schema():
        return False
    if as_json:
        show_json({"schema": schema, "newest_schema": newest_schema()})
    else:
        say(f"{schema_words('SQLite', schema, newest_schema())}: serve or migrate upgrades it.")
    return True


def _state_of(directory: DataDirectory) -> _State:
    """Return how far a safe is."""
    key = directory.load_identity_key()
    scripts, older = directory.run_unlocked(count_scripts)
    keys = VerifyKeys.load(directory.verify_keys)
    with rows_file(directory) as path, open_read_only(path) as db:
        values = [*unstated_values(db, keys, lambda value: location_of_value(value).signed)]
    refused = tuple(words for words, is_signed in values if not is_signed)
    return _State(
        scripts=scripts,
        older=older,
        older_values=len(values) - len(refused),
        refused_values=refused,
        open=key.states_older_rows,
    )


def _report(state: _State, *, as_json: bool) -> None:
    """Print how far the safe is."""
    if as_json:
        show_json(to_builtins(state))
        return
    older = f"{state.older} of {state.scripts} scripts and {state.older_values} values"
    if state.open:
        say(f"{older} are older than the log: run nightsafe migrate.")
    elif state.older:
        say(f"{state.older} of {state.scripts} scripts were changed by something other than Nightsafe.")
    elif not state.older_values:
        say(f"Everything that {state.scripts} scripts serve is in the log.")
    if state.older_values and not state.open:
        say(
            f"{state.older_values} values with valid signatures are not in the log: an earlier nightsafe migrate left"
            " them, or something else has put them back. See nightsafe audit verify."
        )
    for words in state.refused_values[:_MOST_NAMES]:
        say(f"Not stated, because no key of the safe has signed it: {words.rstrip(',')}.")
    if len(state.refused_values) > _MOST_NAMES:
        say(f"{len(state.refused_values) - _MOST_NAMES} more values are not stated for the same reason.")
