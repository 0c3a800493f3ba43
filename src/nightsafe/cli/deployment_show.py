"""`nightsafe deployment show`."""

import click
import msgspec

from nightsafe.cli.deployments import HEAD, row
from nightsafe.cli.options import json_option
from nightsafe.cli.output import fields_table, show_json
from nightsafe.cli.refusal import NOT_FOUND, CommandError
from nightsafe.cli.remote import Remote, script_options


@click.command("show")
@click.argument("deployment", required=False)
@script_options
@json_option
def command(*, remote: Remote, deployment: str | None, as_json: bool) -> None:
    """Show one deployment, by its id; by default the one that is served."""
    deployments = remote.client.workers.scripts.deployments
    if deployment is not None:
        found = deployments.get(deployment, **remote.place)
    else:
        served = deployments.list(remote.script, account_id=remote.account_id, per_page=1).items
        if not served:
            raise CommandError(f"{remote.script} is not deployed", NOT_FOUND)
        found = served[0]
    if as_json:
        show_json({"script": remote.script, **msgspec.to_builtins(found)})
    else:
        fields_table(dict(zip(HEAD, row(found), strict=True)))
