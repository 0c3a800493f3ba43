"""`nightsafe secret list`: lists the secrets of a script."""

import click

from nightsafe.cli.secret.secret_versions import origins_by_name
from nightsafe.cli.secret.views import ELASTIC, HEAD, fields, row
from nightsafe.cli.settings.options import json_option
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.settings.remote_options import script_options
from nightsafe.cli.terminal.output import say, show_json, show_table


@click.command("list")
@script_options
@json_option
def command(*, remote: Remote, as_json: bool) -> None:
    """List the secrets of a script, by name, with the time and the author of each one's last change."""
    found = list(remote.client.workers.scripts.secrets.list(remote.script, account_id=remote.account_id))
    told = origins_by_name(remote) if found else {}
    if as_json:
        show_json({"script": remote.script, "secrets": [fields(one, told.get(one.name, {})) for one in found]})
    elif found:
        show_table(HEAD, [row(one, told.get(one.name, {})) for one in found], elastic=ELASTIC)
    else:
        say(f"{remote.script} has no secrets")
