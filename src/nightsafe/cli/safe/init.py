"""`nightsafe init`: a new safe, with its first account, owner and credentials."""

import asyncio
import json
from pathlib import Path

import click
import msgspec

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.process.signals import ending_tidily
from nightsafe.cli.settings.options import account_id_option, credential_lines, data_option, email_option, json_option
from nightsafe.cli.terminal.handing_over import handing_over
from nightsafe.services.identity.administration import Credentials, create_account
from nightsafe.store.sqlite import SqliteStore


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

    with handing_over("the credentials") as show:

        async def fill(store: SqliteStore) -> Credentials:
            """The first rows."""
            return await create_account(
                store,
                account_id,
                "Nightsafe",
                email,
                show=lambda made: show(_text(directory, made, as_json=as_json)),
            )

        asyncio.run(directory.create(fill))


def _text(directory: DataDirectory, credentials: Credentials, *, as_json: bool) -> str:
    """What is printed of a new safe, this once."""
    if as_json:
        return json.dumps(msgspec.to_builtins(credentials))
    lines = credential_lines(
        account_id=credentials.account_id,
        api_token=credentials.api_token,
        email=credentials.email,
        api_key=credentials.api_key,
    )
    return (
        f"A new safe is in {directory.path}. Its credentials are shown this once:\n\n{lines}\n\n"
        f"Who has {directory.private_ring} can open every value: keep a copy where nobody else reads,\n"
        "and move it to the machine that delivers. Serving does not need it."
    )
