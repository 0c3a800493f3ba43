"""`nightsafe init`: creates a safe with an account, its owner and their credentials."""

import asyncio
from pathlib import Path

import click

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.process.signals import exit_on_signals
from nightsafe.cli.settings.options import account_id_option, data_option, email_option, json_option
from nightsafe.cli.terminal.credential_output import format_credentials, print_before_storing
from nightsafe.services.identity.administration import Credentials, create_account
from nightsafe.store.interface import Store


@click.command("init")
@data_option
@account_id_option
@email_option("owner@nightsafe.local", "The owner's e-mail address.")
@json_option
def command(data: Path, account_id: str, email: str, *, as_json: bool) -> None:
    """Create a new safe: a data directory, key rings, an account and its owner.

    Every credential is printed once and not stored.
    """
    click.get_current_context().with_resource(exit_on_signals())  # a signal still removes the unfinished safe
    directory = DataDirectory(data)

    with print_before_storing("the credentials") as show:

        async def fill(store: Store) -> Credentials:
            """Write the first rows."""
            return await create_account(
                store,
                account_id,
                "Nightsafe",
                email,
                show=lambda credentials: show(_format_credentials(directory, credentials, as_json=as_json)),
            )

        asyncio.run(directory.create(fill))


def _format_credentials(directory: DataDirectory, credentials: Credentials, *, as_json: bool) -> str:
    """Return the output for a new safe."""
    introduction = f"Created a safe in {directory.path}. Its credentials are shown only once:"
    output = format_credentials(introduction, credentials, as_json=as_json)
    if as_json:
        return output
    return (
        f"{output}\n\n"
        f"Anybody who has {directory.private_ring} can open every value. Keep a copy that nobody else\n"
        "can read, and move the file to the machine that delivers. Serving does not need it."
    )
