"""`nightsafe audit list`: lists entries of the audit log, the newest first."""

import shutil
import sys
from pathlib import Path
from typing import Any

import click

from nightsafe.cli.audit.entry_source import EntrySource, ShownEntry, StoreEntries, archived_words, newest_first
from nightsafe.cli.audit.filters import ELASTIC, HEAD, NARROW, Filter, as_json, filter_options, row
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.settings.options import data_option, json_option
from nightsafe.cli.terminal.output import say, show_json, show_table
from nightsafe.cli.terminal.table import format_table


@click.command("list")
@data_option
@filter_options
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Show at most this many.")
@click.option("--wide", is_flag=True, help="Show all columns, also on a narrow terminal.")
@json_option
def command(*, data: Path, limit: int, wide: bool, as_json: bool, **fields: Any) -> None:
    """List entries of all accounts, newest first.

    Times are RFC 3339, for example 2030-01-31T12:00:00Z. A date such as 2030-01-31 stands for its first moment in
    UTC. A narrow terminal shows fewer columns; a file or another program gets all.
    """
    entries, archived = DataDirectory(data).run(lambda store: _newest(StoreEntries(store), Filter(**fields), limit))
    _show(entries, archived, wide=wide, json_wanted=as_json)
    if archived and len(entries) < limit:
        say(f"{archived_words(archived)}: `nightsafe audit show INDEX --archive DIRECTORY` shows one")


async def _newest(source: EntrySource, selection: Filter, limit: int) -> tuple[list[ShownEntry], int]:
    """Return the newest entries that a filter selects, and the number of archived entries."""
    found: list[ShownEntry] = []
    async for entry in newest_first(source):
        if selection.selects(entry):
            found.append(entry)
        if len(found) == limit:
            break
    return found, await source.first()


def _show(entries: list[ShownEntry], archived: int, *, wide: bool, json_wanted: bool) -> None:
    """Print entries."""
    if json_wanted:
        show_json({"entries": [as_json(entry) for entry in entries], "archived": archived})
    elif entries:
        rows = [row(entry) for entry in entries]
        table = format_table(HEAD, rows)
        if wide or not sys.stdout.isatty() or _width(table) <= shutil.get_terminal_size().columns:
            click.echo(table)
        else:
            show_table(HEAD[:NARROW], [cells[:NARROW] for cells in rows], elastic=ELASTIC)
    else:
        say("no entry of the audit log is like this")


def _width(table: str) -> int:
    """Return the number of characters in the longest line of a table."""
    return max(map(len, table.split("\n")))
