"""`nightsafe init`: a new safe, with its first account, owner and credentials."""

import asyncio
import json
import sys
from pathlib import Path

import click
import msgspec

from nightsafe.cli.data_directory import DataDirectory
from nightsafe.cli.options import account_id_option, data_option, email_option, json_option, show_credentials
from nightsafe.cli.signals import ending_tidily
from nightsafe.errors import Code, NightsafeError
from nightsafe.store.sqlite import SqliteStore
from nightsafe.workers.provision import Credentials, create_account


@click.command("init")
@data_option
@account_id_option
@email_option("owner@nightsafe.local", "The owner's e-mail.")
@json_option
def command(data: Path, account_id: str, email: str, *, as_json: bool) -> None:
    """Make a new safe: data directory, key rings, an account and its owner.

    Every credential is printed once and kept nowhere.
    """
    click.get_current_context().with_resource(ending_tidily())  # what was begun is removed again
    directory = DataDirectory(data)

    async def fill(store: SqliteStore) -> Credentials:
        """The first rows."""
        return await create_account(store, account_id, "Nightsafe", email)

    credentials = asyncio.run(directory.create(fill))
    try:
        _print(directory, credentials, as_json=as_json)
        sys.stdout.flush()
    except OSError as error:
        raise NightsafeError(
            Code.INVALID,
            f"the safe in {data} is made, but its credentials could not be shown ({error.strerror}); "
            "make a token with: nightsafe token create",
        ) from None


def _print(directory: DataDirectory, credentials: Credentials, *, as_json: bool) -> None:
    """Show the credentials, this once."""
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(credentials)))
        return
    click.echo(f"A new safe is in {directory.path}. Its credentials are shown this once:\n")
    show_credentials(
        account_id=credentials.account_id,
        api_token=credentials.api_token,
        email=credentials.email,
        api_key=credentials.api_key,
    )
    click.echo(
        f"\nWho has {directory.private_ring} can open every value: keep a copy where nobody else reads,"
        "\nand move it to the machine that delivers. Serving does not need it."
    )
