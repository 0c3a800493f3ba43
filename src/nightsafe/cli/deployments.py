"""Finding deployments, and what is shown of them."""

from typing import Any, Final

from nightsafe.cli.refusal import NOT_FOUND, CommandError
from nightsafe.cli.remote import Remote
from nightsafe.cli.times import shown
from nightsafe.cli.versions import PREFIX, UUID, by, note_of, short
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
