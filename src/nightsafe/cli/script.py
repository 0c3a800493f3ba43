"""`nightsafe script`: lists and shows the scripts of an account."""

from typing import Any

import click
import msgspec

from nightsafe.cli.completing import complete_scripts
from nightsafe.cli.settings.options import json_option
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.settings.remote_options import checked_name, remote_options, script_options
from nightsafe.cli.terminal.output import fields_table, say, show_json, show_table
from nightsafe.cli.terminal.times import shown
from nightsafe.client import APIStatusError, Script

_NO_SUCH_PAGE = frozenset({400, 404, 405})


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
    every = remote.client.workers.scripts.list(account_id=remote.account_id)
    script = next((one for one in every if one.id == name), Script(id=name))
    live = _served(remote, name)
    if as_json:
        names = [one.name for one in secrets]
        show_json({**msgspec.to_builtins(script), "secrets": names, "served": live})
        return
    fields_table(
        {
            "name": script.id,
            "tag": script.tag,
            "created_on": shown(script.created_on),
            "modified_on": shown(script.modified_on),
            "by": script.last_deployed_from,
            "compatibility_date": script.compatibility_date,
            "compatibility_flags": ", ".join(script.compatibility_flags or ()),
            "secrets": ", ".join(one.name for one in secrets),
            "served": ", ".join(f"{one['version_id']} ({one['percentage']:g} %)" for one in live),
        }
    )


def _served(remote: Remote, name: str) -> list[dict[str, Any]]:
    """Return the versions that are served; empty if the server has no such endpoint."""
    try:
        deployments = remote.client.workers.scripts.deployments.list(name, account_id=remote.account_id).items
    except APIStatusError as error:
        if error.status_code not in _NO_SUCH_PAGE:
            raise
        return []
    return [msgspec.to_builtins(one) for one in deployments[0].versions] if deployments else []


@click.command("list")
@remote_options
@json_option
def list_command(*, remote: Remote, as_json: bool) -> None:
    """List the scripts of an account, by name."""
    scripts = list(remote.client.workers.scripts.list(account_id=remote.account_id))
    if as_json:
        show_json({"account_id": remote.account_id, "scripts": [msgspec.to_builtins(one) for one in scripts]})
    elif scripts:
        rows = [[one.id, shown(one.modified_on), one.last_deployed_from or "-"] for one in scripts]
        show_table(("name", "modified_on", "by"), rows)
    else:
        say("the account has no scripts")
