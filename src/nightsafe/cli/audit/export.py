"""`nightsafe audit export`: writes the whole audit log to one file."""

import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import click

from nightsafe.audit.exports.csv_table import csv_lines
from nightsafe.audit.exports.json_lines import json_lines
from nightsafe.audit.verification.log_check import read_head
from nightsafe.cli.audit.database_source import backup_option, open_log
from nightsafe.cli.audit.entry_source import archived_words
from nightsafe.cli.settings.options import FILE, data_option
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import say
from nightsafe.cli.terminal.progress import byte_bar

_FORMATS: Final = {"jsonl": json_lines, "csv": csv_lines}


@click.command("export")
@data_option
@backup_option
@click.option(
    "--format",
    "form",
    type=click.Choice(list(_FORMATS)),
    default="jsonl",
    show_default=True,
    help="jsonl: JSON lines with proofs, for `audit verify`; csv: a table for people.",
)
@click.option("--output", type=FILE, help="The file to create, with mode 0600.  [default: standard output]")
def command(*, data: Path, backup: Path | None, form: str, output: Path | None) -> None:
    """Write the whole log of all accounts to one file.

    The JSON lines have each entry with the proof that the log has it, and the signed checkpoint first, so that
    `audit verify` verifies them alone. The log has no secret's value.
    """
    with open_log(data, backup, "export") as database:
        head = read_head(database.db)
        if head.archived:
            say(f"{archived_words(head.archived)}: this export has the others")
        with byte_bar(head.size - head.archived, "Exporting") as report:
            _write(_FORMATS[form](database.db, database.watch(report)), output)


def _write(lines: Iterable[bytes], output: Path | None) -> None:
    """Write lines to a new file, or to standard output. The file gets its name when it is whole."""
    if output is None:
        sys.stdout.buffer.writelines(lines)
        sys.stdout.buffer.flush()
        return
    taken = CommandError(f"{output} already exists; name another file, or remove it")
    if os.path.lexists(output):
        raise taken
    try:
        descriptor, name = tempfile.mkstemp(".part", f".{output.name}.", output.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(lines)
                file.flush()
                os.fsync(file.fileno())
            os.link(name, output)  # never in place of another file
        finally:
            Path(name).unlink()
    except FileExistsError:
        raise taken from None
    except OSError as error:
        raise CommandError(f"{output} cannot be written: {error.strerror}") from None
