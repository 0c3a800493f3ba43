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
from nightsafe.cli.version import PREFIX, UUID, by, note_of, short
from nightsafe.client import Deployment

HEAD: Final = ("id", "created_on", "serves", "author", "note")
ELASTIC: Final = (3, 4)
"""The columns that a narrow terminal may cut."""


def find_deployment(remote: Remote, named: str | None) -> Deployment:
    """A deployment by its id or the first letters of that; by default the one that is served.

    Raises:
        CommandError: when there is none, or several.
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
        raise CommandError(f"{named!r} is no deployment: give its id, or the id's first four letters or more")
    every = deployments.list(remote.script, account_id=remote.account_id, per_page=100)
    found = [one for one in every if one.id.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        raise CommandError(f"several deployments of {remote.script} begin with {named}; give more of the id")
    raise CommandError(
        f"{remote.script} has no deployment {named}; `nightsafe deployment list` shows which there are", NOT_FOUND
    )


def row(deployment: Deployment) -> list[str]:
    """A line of a table."""
    return [
        short(deployment.id),
        shown(deployment.created_on),
        ", ".join(f"{short(one.version_id)} {one.percentage:g} %" for one in deployment.versions) or "-",
        deployment.author_email or "-",
        note_of(deployment.annotations),
    ]


def fields(deployment: Deployment) -> dict[str, Any]:
    """All of one, with its ids whole."""
    return {
        "id": deployment.id,
        "created_on": shown(deployment.created_on),
        "by": by(deployment.annotations, deployment.source),
        "author": deployment.author_email,
        "serves": ", ".join(f"{one.version_id} ({one.percentage:g} %)" for one in deployment.versions) or "-",
        "note": note_of(deployment.annotations),
    }


@click.command("list")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@script_options
@json_option
def list_command(*, remote: Remote, limit: int, as_json: bool) -> None:
    """List the deployments of a script, the newest first: that is the one that is served."""
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
    """Show one deployment, by its id or the first letters of that; by default the one that is served."""
    found = find_deployment(remote, deployment)
    if as_json:
        show_json({"script": remote.script, **msgspec.to_builtins(found)})
    else:
        fields_table(fields(found))
