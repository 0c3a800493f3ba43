"""`nightsafe approver`: creates keys that approve versions."""

import base64
from pathlib import Path

import click

from nightsafe.cli.settings.options import FILE, json_option
from nightsafe.cli.terminal.output import show_fields, show_json


@click.group("approver")
def command() -> None:
    """Create a key that approves versions.

    An approver keeps the key on a machine of their own, away from the API. The delivery process gets only the public
    half, in its approvers file.
    """


@command.command("create")
@click.argument("file", type=FILE)
@json_option
def create(file: Path, *, as_json: bool) -> None:
    """Create a key in FILE and print its public half.

    The file has mode 0600. The public half belongs in the approvers file of the delivery process.
    """
    from nightsafe.bundle.approvals.approver_key import ApproverKey

    key = ApproverKey.generate()
    key.save(file)
    shown = {"file": str(file), "id": key.id, "public": base64.b64encode(key.public).decode()}
    if as_json:
        show_json(shown)
    else:
        show_fields(shown)
