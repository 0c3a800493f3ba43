"""`nightsafe token`: API tokens, made by the operator at the machine."""

import asyncio
import json
from pathlib import Path

import click

from nightsafe.cli.data_directory import DataDirectory
from nightsafe.cli.options import check_text, data_option, json_option, seconds_type
from nightsafe.errors import Code, NightsafeError
from nightsafe.store.sqlite import SqliteStore
from nightsafe.workers.provision import create_token


@click.group("token")
def command() -> None:
    """Make API tokens."""


@command.command("create")
@data_option
@click.option("--account-id", metavar="HEX32", help="The account.  [default: the oldest]")
@click.option("--name", default="token", show_default=True, callback=check_text, help="What to call it.")
@click.option("--expires-in", type=seconds_type, metavar="SECONDS", help="How long it is valid.")
@json_option
def create(data: Path, account_id: str | None, name: str, expires_in: int | None, *, as_json: bool) -> None:
    """Make a token for all that can be done in an account; it is printed once."""
    account, token = asyncio.run(_create(DataDirectory(data), account_id, name, expires_in))
    click.echo(json.dumps({"account_id": account, "api_token": token}) if as_json else token)


async def _create(
    directory: DataDirectory, account_id: str | None, name: str, seconds: int | None
) -> tuple[str, str]:
    """Make a token in the store; gives the account with it."""
    store = directory.open_store()
    try:
        account, owner = await _account_and_owner(store, account_id)
        return account, await create_token(store, account, owner, name, seconds)
    finally:
        await store.close()


async def _account_and_owner(store: SqliteStore, account_id: str | None) -> tuple[str, str]:
    """The account, given or oldest, and the user who has been in it longest."""
    accounts = [account.id for account in await store.accounts() if account_id in {None, account.id}]
    members = await store.members(accounts[0]) if accounts else []
    if not members:
        raise NightsafeError(Code.INVALID, "there is no such account; the safe's own is chosen without --account-id")
    return accounts[0], members[0].user_id
