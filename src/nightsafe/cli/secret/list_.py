"""`nightsafe secret list`: lists the secrets of a script."""

import click

from nightsafe.cli.secret.secret_versions import versions_by_secret
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
    secrets = list(remote.client.workers.scripts.secrets.list(remote.script, account_id=remote.account_id))
    versions = versions_by_secret(remote) if secrets else {}
    if as_json:
        show_json(
            {
                "script": remote.script,
                "secrets": [fields(secret, versions.get(secret.name, {})) for secret in secrets],
            }
        )
    elif secrets:
        show_table(HEAD, [row(secret, versions.get(secret.name, {})) for secret in secrets], elastic=ELASTIC)
    else:
        say(f"{remote.script} has no secrets")
