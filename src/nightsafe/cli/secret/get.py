"""`nightsafe secret get`."""

import click

from nightsafe.cli.options import json_option
from nightsafe.cli.output import show_json, show_table
from nightsafe.cli.remote import Remote, checked_name, script_options
from nightsafe.cli.secret.shown import HEAD, fields, row


@click.command("get")
@click.argument("secret_name", metavar="NAME", callback=checked_name)
@script_options
@json_option
def command(*, remote: Remote, secret_name: str, as_json: bool) -> None:
    """Show what is known of one secret. Its value can be had from nobody."""
    secret = remote.client.workers.scripts.secrets.get(secret_name, **remote.place)
    if as_json:
        show_json(fields(secret))
    else:
        show_table(HEAD, [row(secret)])
