"""`nightsafe audit watch`: prints new entries of the audit log as they are written."""

from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import click

from nightsafe.cli.audit.entry_source import EntrySource, StoreEntries, following
from nightsafe.cli.audit.filters import Filter, as_json, filter_options, row
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.settings.options import data_option, json_option
from nightsafe.cli.terminal.output import show_json
from nightsafe.cli.terminal.table import format_table

_EARLIER: Final = 10


@click.command("watch")
@data_option
@filter_options
@json_option
def command(*, data: Path, as_json: bool, **fields: Any) -> None:
    """Print the last ten entries, then each new one.

    Press Ctrl-C to end the command. The options select entries. With --json, each entry is one JSON object on a line.
    """
    with suppress(KeyboardInterrupt):
        DataDirectory(data).run(lambda store: _follow(StoreEntries(store), Filter(**fields), json_wanted=as_json))


async def _follow(source: EntrySource, selection: Filter, *, json_wanted: bool) -> None:
    """Print entries without an end."""
    async for entry in following(source, max(0, await source.size() - _EARLIER)):
        if selection.selects(entry):
            if json_wanted:
                show_json(as_json(entry))
            else:
                click.echo(format_table(row(entry), ()))
