"""`nightsafe secret get`: shows the metadata of a secret."""

import click

from nightsafe.cli.secret.secret_versions import versions_by_secret
from nightsafe.cli.secret.views import ELASTIC, HEAD, fields, row
from nightsafe.cli.settings.options import json_option
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.settings.remote_options import script_options, secret_argument
from nightsafe.cli.terminal.output import show_json, show_table


@click.command("get")
@secret_argument
@script_options
@json_option
def command(*, remote: Remote, secret_name: str, as_json: bool) -> None:
    """Show the metadata of one secret. No command can show its value."""
    secret = remote.client.workers.scripts.secrets.get(secret_name, **remote.script_arguments)
    version = versions_by_secret(remote).get(secret_name, {})
    if as_json:
        show_json(fields(secret, version))
    else:
        show_table(HEAD, [row(secret, version)], elastic=ELASTIC)
