"""`nightsafe version show`."""

import click
import msgspec

from nightsafe.cli.options import json_option
from nightsafe.cli.output import fields_table, show_json
from nightsafe.cli.remote import Remote, script_options
from nightsafe.cli.times import shown
from nightsafe.cli.versions import by, find_version, note_of, number_of


@click.command("show")
@click.argument("version")
@script_options
@json_option
def command(*, remote: Remote, version: str, as_json: bool) -> None:
    """Show one version, by its number, its id, or the first letters of that."""
    found = find_version(remote, version)
    if found.resources is None:
        found = remote.client.workers.scripts.versions.get(found.id, **remote.place)
    if as_json:
        show_json({"script": remote.script, **msgspec.to_builtins(found)})
        return
    metadata, resources = found.metadata, found.resources
    bindings = (resources.bindings if resources else None) or []
    runtime = (resources.script_runtime if resources else None) or {}
    fields_table(
        {
            "id": found.id,
            "number": number_of(found),
            "created_on": shown(metadata.created_on if metadata else None),
            "author": metadata.author_email if metadata else None,
            "by": by(found.annotations, metadata.source if metadata else None),
            "note": note_of(found.annotations),
            "compatibility_date": runtime.get("compatibility_date"),
            "bindings": ", ".join(f"{one.get('name')} ({one.get('type')})" for one in bindings),
        }
    )
