"""`nightsafe deployment show`."""

import click
import msgspec

from nightsafe.cli.deployments import fields, find_deployment
from nightsafe.cli.options import json_option
from nightsafe.cli.output import fields_table, show_json
from nightsafe.cli.remote import Remote, script_options


@click.command("show")
@click.argument("deployment", required=False)
@script_options
@json_option
def command(*, remote: Remote, deployment: str | None, as_json: bool) -> None:
    """Show one deployment, by its id or the first letters of that; by default the one that is served."""
    found = find_deployment(remote, deployment)
    if as_json:
        show_json({"script": remote.script, **msgspec.to_builtins(found)})
    else:
        fields_table(fields(found))
