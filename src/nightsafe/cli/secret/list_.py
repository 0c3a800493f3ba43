"""`nightsafe secret list`."""

import click

from nightsafe.cli.options import json_option
from nightsafe.cli.output import say, show_json, show_table
from nightsafe.cli.remote import Remote, script_options
from nightsafe.cli.secret.origins import origins_by_name
from nightsafe.cli.secret.shown import ELASTIC, HEAD, fields, row


@click.command("list")
@script_options
@json_option
def command(*, remote: Remote, as_json: bool) -> None:
    """List the secrets of a script, by name, with when and by whom each was last put."""
    found = list(remote.client.workers.scripts.secrets.list(remote.script, account_id=remote.account_id))
    told = origins_by_name(remote) if found else {}
    if as_json:
        show_json({"script": remote.script, "secrets": [fields(one, told.get(one.name, {})) for one in found]})
    elif found:
        show_table(HEAD, [row(one, told.get(one.name, {})) for one in found], elastic=ELASTIC)
    else:
        say(f"{remote.script} has no secrets")
