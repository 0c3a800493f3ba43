"""`nightsafe audit show`: shows one entry of the audit log."""

from pathlib import Path

import click

from nightsafe.cli.audit.archive_files import archive_option, open_archives
from nightsafe.cli.audit.entry_source import EntrySource, ShownEntry, StoreEntries, shown
from nightsafe.cli.audit.filters import as_json as entry_as_json
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.settings.options import data_option, json_option
from nightsafe.cli.terminal.errors import NOT_FOUND, CommandError
from nightsafe.cli.terminal.output import show_fields, show_json
from nightsafe.sealing.verify_keys import VerifyKeys


@click.command("show")
@click.argument("index", type=click.IntRange(0, (1 << 62) - 1))
@data_option
@archive_option
@json_option
def command(*, index: int, data: Path, archives: tuple[Path, ...], as_json: bool) -> None:
    """Show one entry, and what it wrote.

    INDEX is the entry's place in the log, from 0. An archived entry is read from an archive.
    """
    entry = DataDirectory(data).run(lambda store: _find(StoreEntries(store), index))
    if entry is None:
        entry = _find_archived(archives, index, VerifyKeys.load(DataDirectory(data).verify_keys))
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


async def _find(source: EntrySource, index: int) -> ShownEntry | None:
    """Return an entry; None for an archived one.

    Raises:
        CommandError: if the log has no such entry, or its text was changed.
    """
    size = await source.size()
    if index >= size:
        last = f"the last is {size - 1}" if size else "it is empty"
        raise CommandError(f"the audit log has no entry {index}: {last}", NOT_FOUND)
    found = await source.entries(index, 1)
    if not found and index >= await source.first():
        raise CommandError(f"entry {index} cannot be shown", NOT_FOUND)
    return found[0] if found else None


def _find_archived(archives: tuple[Path, ...], index: int, keys: VerifyKeys) -> ShownEntry:
    """Return an entry from archives.

    Raises:
        CommandError: if no archive has the entry.
        DifferenceError: if the archive of the entry was changed before it.
    """
    for export in open_archives(archives, keys):
        if export.first <= index < export.end:
            return next(shown(index, bytes(entry.entry)) for entry in export.entries() if entry.index == index)
    if archives:
        raise CommandError(f"entry {index} is archived, and the given archives do not have it", NOT_FOUND)
    raise CommandError(
        f"entry {index} is archived: give the file that has it, or its directory, with --archive. The file's name is"
        " audit-FIRST-LAST.jsonl",
        NOT_FOUND,
    )
