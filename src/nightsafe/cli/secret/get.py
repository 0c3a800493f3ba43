"""`nightsafe secret get`."""

import click

from nightsafe.cli.options import json_option
from nightsafe.cli.output import show_json, show_table
from nightsafe.cli.remote import Remote, script_options, secret_argument
from nightsafe.cli.secret.origins import origins_by_name
from nightsafe.cli.secret.shown import ELASTIC, HEAD, fields, row


@click.command("get")
@secret_argument
@script_options
@json_option
def command(*, remote: Remote, secret_name: str, as_json: bool) -> None:
    """Show what is known of one secret. Its value can be had from nobody."""
    secret = remote.client.workers.scripts.secrets.get(secret_name, **remote.place)
    origin = origins_by_name(remote).get(secret_name, {})
    if as_json:
        show_json(fields(secret, origin))
    else:
        show_table(HEAD, [row(secret, origin)], elastic=ELASTIC)
