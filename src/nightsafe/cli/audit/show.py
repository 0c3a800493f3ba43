"""`nightsafe audit show`: shows one entry of the audit log."""

from pathlib import Path

import click

from nightsafe.cli.audit.entry_source import EntrySource, ShownEntry, StoreEntries
from nightsafe.cli.audit.filters import as_json as entry_as_json
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.settings.options import data_option, json_option
from nightsafe.cli.terminal.errors import NOT_FOUND, CommandError
from nightsafe.cli.terminal.output import show_fields, show_json


@click.command("show")
@click.argument("index", type=click.IntRange(0, (1 << 62) - 1))
@data_option
@json_option
def command(*, index: int, data: Path, as_json: bool) -> None:
    """Show one entry, and what it wrote.

    INDEX is the entry's place in the log, from 0.
    """
    entry = DataDirectory(data).run(lambda store: _find(StoreEntries(store), index))
    if as_json:
        show_json(entry_as_json(entry))
        return
    fields = entry_as_json(entry)
    del fields["at"]
    written = fields.pop("written", {})
    fields["wrote"] = [place for place, _ in written.get("rows", ())]
    fields["wrote"] += [f"{subject}/{place}" for subject, _, place in written.get("statements", ())]
    fields["removed"] = written.get("gone", [])
    show_fields({name: " ".join(field) if isinstance(field, list) else str(field) for name, field in fields.items()})


async def _find(source: EntrySource, index: int) -> ShownEntry:
    """Return an entry.

    Raises:
        CommandError: if the log has no such entry.
    """
    size = await source.size()
    if index >= size:
        last = f"the last is {size - 1}" if size else "it is empty"
        raise CommandError(f"the audit log has no entry {index}: {last}", NOT_FOUND)
    return (await source.entries(index, 1))[0]
