"""`nightsafe audit verify`: compares a database with its log, and the log with its signatures."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import click
import msgspec
from click.core import ParameterSource

from nightsafe.audit.exports.json_lines import MAX_LINE, verify_json_lines
from nightsafe.audit.verification.database_check import Verified, steps_of, verify_database
from nightsafe.audit.verification.difference import DifferenceError
from nightsafe.audit.verification.log_check import Report
from nightsafe.cli.audit.database_source import (
    backup_option,
    load_keys,
    open_log,
    read_checkpoint,
    verify_keys_option,
)
from nightsafe.cli.safe.database_copy import integrity_problems
from nightsafe.cli.settings.options import FILE, data_option, json_option
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import say, show_json
from nightsafe.cli.terminal.progress import byte_bar
from nightsafe.merkle.checkpoint import Checkpoint
from nightsafe.sealing.context import Context
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.services.key_rotation.resealing import location_of_value
from nightsafe.store.sealed_values import StoredValue

_FAILED: Final = 1


@click.command("verify")
@click.argument("export", type=FILE, required=False)
@data_option
@backup_option
@verify_keys_option
@click.option("--from", "known", type=FILE, help="File with an earlier checkpoint, which the log must continue.")
@json_option
def command(  # noqa: PLR0913 - one for each option
    *,
    export: Path | None,
    data: Path,
    backup: Path | None,
    verify_keys: Path | None,
    known: Path | None,
    as_json: bool,
) -> None:
    """Compare the database with the log, and check the log.

    The command checks the data directory (also while it is served), a backup, or EXPORT, a file of `audit export`. It
    needs the public verification keys alone, and no server. It checks the whole log. It also compares every version,
    binding, deployment, value, item, token and user of a database with what the log says. If something differs, it
    names the first difference and exits with 1.
    """
    if sum((export is not None, backup is not None, _is_given("data"))) > 1:
        raise click.UsageError("give only one of EXPORT, --backup and --data")
    keys = load_keys(data, verify_keys, needs_own=export is not None or backup is not None)
    if verify_keys is None:
        say(
            "The keys are those of the data directory. Anyone who can change the database may have exchanged them"
            " too: to exclude that, give --verify-keys with a copy from elsewhere."
        )
    checkpoint = read_checkpoint(known, keys)
    try:
        if export is not None:
            entries = _verify_export(export, keys, checkpoint)
            _report({"entries": entries}, f"{entries} entries: all as the checkpoint says", as_json=as_json)
        else:
            verified = _verify_database(data, backup, keys, checkpoint)
            _report(msgspec.to_builtins(verified), _sentence(verified), as_json=as_json)
    except DifferenceError as difference:
        _report_difference(difference, as_json=as_json)
        sys.exit(_FAILED)


def _is_given(name: str) -> bool:
    """Return whether an option is on the command line."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def _verify_database(data: Path, backup: Path | None, keys: VerifyKeys, known: Checkpoint | None) -> Verified:
    """Verify the database of a data directory or a backup."""
    with open_log(data, backup, "verification") as database:
        problems = integrity_problems(database.db, thorough=True)
        if problems:
            raise CommandError(f"the database is damaged: {problems[0]}; restore a backup: nightsafe restore")
        with byte_bar(steps_of(database.db), "Verifying") as report:
            return verify_database(database.db, keys, known, _context_of, database.watch(report))


def _context_of(value: StoredValue) -> Context:
    """Return the context that the signature on a value covers."""
    return location_of_value(value).signed


def _verify_export(path: Path, keys: VerifyKeys, known: Checkpoint | None) -> int:
    """Verify an export, and return the number of its entries."""
    with path.open("rb") as file, byte_bar(path.stat().st_size, "Verifying") as report:
        return verify_json_lines(_lines(path, file, report), keys, known, lambda _: None).size


def _lines(path: Path, file: IO[bytes], report: Report) -> Iterator[bytes]:
    """Yield the lines of a file; refuse a line that is longer than any line of an export."""
    while line := file.readline(MAX_LINE):
        if len(line) == MAX_LINE:
            raise CommandError(f"{path} is not an export of an audit log: it has a line of over {MAX_LINE} bytes")
        report(len(line))
        yield line


def _sentence(verified: Verified) -> str:
    """Return the result in words."""
    counts = f"{verified.entries} entries, {verified.versions} versions, {verified.records} values"
    older = f"; {verified.older} rows are older than the log, which does not cover them" if verified.older else ""
    return f"{counts}: all as the log says{older}"


def _report(fields: dict[str, object], sentence: str, *, as_json: bool) -> None:
    """Print a result."""
    if as_json:
        show_json({"verified": True, **fields, "difference": None})
    else:
        click.echo(sentence)


def _report_difference(difference: DifferenceError, *, as_json: bool) -> None:
    """Print a difference."""
    if as_json:
        fields = {"what": difference.what, "advice": difference.advice, "entry": difference.entry}
        show_json({"verified": False, "difference": fields})
        return
    say(f"nightsafe: {difference.what}")
    say(f"What to do: {difference.advice}")
