"""`nightsafe deployment`: lists and shows the deployments of a script."""

from itertools import islice
from typing import Any, Final

import click
import msgspec

from nightsafe.cli.settings.options import json_option
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.settings.remote_options import script_options
from nightsafe.cli.terminal.errors import NOT_FOUND, CommandError
from nightsafe.cli.terminal.output import fields_table, show_json, show_table
from nightsafe.cli.terminal.times import shown
from nightsafe.cli.version import PREFIX, UUID, by, metadata_of, short
from nightsafe.client import Deployment

HEAD: Final = ("id", "created_on", "serves", "author", "note")
ELASTIC: Final = (3, 4)
"""The columns that a narrow terminal may cut."""


def find_deployment(remote: Remote, named: str | None) -> Deployment:
    """Find a deployment.

    Args:
        remote: the script.
        named: the deployment's ID, or at least the first four characters of the ID; None for the current deployment.

    Raises:
        CommandError: if no deployment matches, or several do.
    """
    deployments = remote.client.workers.scripts.deployments
    if named is None:
        served = deployments.list(remote.script, account_id=remote.account_id, per_page=1).items
        if not served:
            raise CommandError(f"{remote.script} is not deployed", NOT_FOUND)
        return served[0]
    wanted = named.lower()
    if UUID.fullmatch(wanted):
        return deployments.get(wanted, **remote.place)
    if not PREFIX.fullmatch(wanted):
        raise CommandError(f"{named!r} is not a deployment ID: give the ID or at least its first four characters")
    every = deployments.list(remote.script, account_id=remote.account_id, per_page=100)
    found = [one for one in every if one.id.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        raise CommandError(
            f"several deployments of {remote.script} begin with {named}; give more characters of the ID"
        )
    raise CommandError(
        f"{remote.script} has no deployment {named}; run `nightsafe deployment list` to see them", NOT_FOUND
    )


def row(deployment: Deployment) -> list[str]:
    """Return a deployment as a row of the table."""
    return [
        short(deployment.id),
        shown(deployment.created_on),
        ", ".join(f"{short(one.version_id)} {one.percentage:g} %" for one in deployment.versions) or "-",
        deployment.author_email or "-",
        metadata_of(deployment.annotations),
    ]


def fields(deployment: Deployment) -> dict[str, Any]:
    """Return all fields of a deployment, with complete IDs."""
    return {
        "id": deployment.id,
        "created_on": shown(deployment.created_on),
        "by": by(deployment.annotations, deployment.source),
        "author": deployment.author_email,
        "serves": ", ".join(f"{one.version_id} ({one.percentage:g} %)" for one in deployment.versions) or "-",
        "note": metadata_of(deployment.annotations),
    }


@click.command("list")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Show at most this many.")
@script_options
@json_option
def list_command(*, remote: Remote, limit: int, as_json: bool) -> None:
    """List the deployments of a script, newest first. The newest one is served."""
    page = min(limit, 100)
    every = remote.client.workers.scripts.deployments.list(remote.script, account_id=remote.account_id, per_page=page)
    deployments = list(islice(every, limit))
    if as_json:
        show_json({"script": remote.script, "deployments": [msgspec.to_builtins(one) for one in deployments]})
    else:
        show_table(HEAD, [row(one) for one in deployments], elastic=ELASTIC)


@click.command("show")
@click.argument("deployment", required=False)
@script_options
@json_option
def show_command(*, remote: Remote, deployment: str | None, as_json: bool) -> None:
    """Show one deployment, by its ID or the first characters of its ID. By default, show the newest one."""
    found = find_deployment(remote, deployment)
    if as_json:
        show_json({"script": remote.script, **msgspec.to_builtins(found)})
    else:
        fields_table(fields(found))
