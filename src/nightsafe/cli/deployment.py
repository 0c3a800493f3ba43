"""`nightsafe deployment`: lists and shows the deployments of a script."""

from typing import Any, Final

import click
import msgspec

from nightsafe.cli.approval.waiting import notify_waiting
from nightsafe.cli.settings.options import json_option
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.settings.remote_options import script_options
from nightsafe.cli.terminal.errors import NOT_FOUND, CommandError
from nightsafe.cli.terminal.output import show_fields, show_json, show_table
from nightsafe.cli.terminal.times import display_time
from nightsafe.cli.version import (
    PREFIX,
    UUID,
    limit_option,
    newest,
    note_of,
    only_match,
    short_id,
    trigger_and_source,
)
from nightsafe.client import Deployment

HEAD: Final = ("id", "created_on", "serves", "author", "note")
ELASTIC: Final = (3, 4)
"""The columns that a narrow terminal may cut."""


def find_deployment(remote: Remote, query: str | None) -> Deployment:
    """Find a deployment.

    Args:
        remote: the script.
        query: the deployment's ID, or at least the first four characters of the ID; None for the current deployment.

    Raises:
        CommandError: if no deployment matches, or several do.
    """
    deployments = remote.client.workers.scripts.deployments
    if query is None:
        served = deployments.list(remote.script, account_id=remote.account_id, per_page=1).items
        if not served:
            raise CommandError(
                f"{remote.script} is not deployed; deploy a version, for example with wrangler", NOT_FOUND
            )
        return served[0]
    prefix = query.lower()
    if UUID.fullmatch(prefix):
        return deployments.get(prefix, **remote.script_arguments)
    if not PREFIX.fullmatch(prefix):
        raise CommandError(f"{query!r} is not a deployment ID: give the ID or at least its first four characters")
    all_deployments = deployments.list(remote.script, account_id=remote.account_id, per_page=100)
    matches = [deployment for deployment in all_deployments if deployment.id.startswith(prefix)]
    return only_match(matches, "deployment", remote, query)


def row(deployment: Deployment) -> list[str]:
    """Return a deployment as a row of the table."""
    return [
        short_id(deployment.id),
        display_time(deployment.created_on),
        ", ".join(f"{short_id(version.version_id)} {version.percentage:g} %" for version in deployment.versions)
        or "-",
        deployment.author_email or "-",
        note_of(deployment.annotations),
    ]


def fields(deployment: Deployment) -> dict[str, Any]:
    """Return all fields of a deployment, with complete IDs."""
    return {
        "id": deployment.id,
        "created_on": display_time(deployment.created_on),
        "by": trigger_and_source(deployment.annotations, deployment.source),
        "author": deployment.author_email,
        "serves": ", ".join(f"{version.version_id} ({version.percentage:g} %)" for version in deployment.versions)
        or "-",
        "note": note_of(deployment.annotations),
    }


@click.command("list")
@limit_option
@script_options
@json_option
def list_command(*, remote: Remote, limit: int, as_json: bool) -> None:
    """List the deployments of a script, newest first.

    The newest one is served. If it waits for an approval, the command says so and names the version that is served.
    """
    deployments = newest(remote.client.workers.scripts.deployments.list, remote, limit)
    if as_json:
        show_json(
            {"script": remote.script, "deployments": [msgspec.to_builtins(deployment) for deployment in deployments]}
        )
    else:
        show_table(HEAD, [row(deployment) for deployment in deployments], elastic=ELASTIC)
        notify_waiting(remote)


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
        show_fields(fields(found))
