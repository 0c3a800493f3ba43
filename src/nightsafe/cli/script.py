"""`nightsafe script`: lists and shows the scripts of an account."""

from typing import Any

import click
import msgspec

from nightsafe.cli.completing import complete_scripts
from nightsafe.cli.settings.options import json_option
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.settings.remote_options import checked_name, remote_options, script_options
from nightsafe.cli.terminal.output import say, show_fields, show_json, show_table
from nightsafe.cli.terminal.times import display_time
from nightsafe.client import APIStatusError, Script

_NO_ENDPOINT = frozenset({400, 404, 405})


@click.command("show")
@click.argument(
    "script_name", metavar="[NAME]", required=False, callback=checked_name, shell_complete=complete_scripts
)
@script_options
@json_option
def show_command(*, remote: Remote, script_name: str | None, as_json: bool) -> None:
    """Show one script. By default, show the script of --script."""
    name = script_name or remote.script
    secrets = list(remote.client.workers.scripts.secrets.list(name, account_id=remote.account_id))
    all_scripts = remote.client.workers.scripts.list(account_id=remote.account_id)
    script = next((item for item in all_scripts if item.id == name), Script(id=name))
    served = _served_versions(remote, name)
    if as_json:
        names = [item.name for item in secrets]
        show_json({**msgspec.to_builtins(script), "secrets": names, "served": served})
        return
    show_fields(
        {
            "name": script.id,
            "tag": script.tag,
            "created_on": display_time(script.created_on),
            "modified_on": display_time(script.modified_on),
            "by": script.last_deployed_from,
            "compatibility_date": script.compatibility_date,
            "compatibility_flags": ", ".join(script.compatibility_flags or ()),
            "secrets": ", ".join(item.name for item in secrets),
            "served": ", ".join(f"{item['version_id']} ({item['percentage']:g} %)" for item in served),
        }
    )


def _served_versions(remote: Remote, name: str) -> list[dict[str, Any]]:
    """Return the versions that are served; empty if the server has no such endpoint."""
    try:
        deployments = remote.client.workers.scripts.deployments.list(name, account_id=remote.account_id).items
    except APIStatusError as error:
        if error.status_code not in _NO_ENDPOINT:
            raise
        return []
    return [msgspec.to_builtins(version) for version in deployments[0].versions] if deployments else []


@click.command("list")
@remote_options
@json_option
def list_command(*, remote: Remote, as_json: bool) -> None:
    """List the scripts of an account, by name."""
    scripts = list(remote.client.workers.scripts.list(account_id=remote.account_id))
    if as_json:
        show_json({"account_id": remote.account_id, "scripts": [msgspec.to_builtins(script) for script in scripts]})
    elif scripts:
        rows = [[script.id, display_time(script.modified_on), script.last_deployed_from or "-"] for script in scripts]
        show_table(("name", "modified_on", "by"), rows)
    else:
        say("the account has no scripts")
