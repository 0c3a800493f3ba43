"""What is shown of deployments."""

from typing import Final

from nightsafe.cli.times import shown
from nightsafe.cli.versions import by, note_of
from nightsafe.client import Deployment

HEAD: Final = ("id", "created_on", "by", "author", "serves", "note")


def row(deployment: Deployment) -> list[str]:
    """A line of a table."""
    return [
        deployment.id,
        shown(deployment.created_on),
        by(deployment.annotations, deployment.source),
        deployment.author_email or "-",
        serves(deployment),
        note_of(deployment.annotations),
    ]


def serves(deployment: Deployment) -> str:
    """Its versions, with how much of the traffic each has."""
    return ", ".join(f"{one.version_id} ({one.percentage:g} %)" for one in deployment.versions) or "-"
