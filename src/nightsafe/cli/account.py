"""`nightsafe account`: creates and lists accounts, for the operator at the machine."""

import json
from pathlib import Path

import click

from nightsafe.api.http.times import format_time
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.settings.options import account_id_option, data_option, email_option, json_option
from nightsafe.cli.terminal.credential_output import format_credentials, print_before_storing
from nightsafe.cli.terminal.table import format_table
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.identity.administration import Credentials, create_account
from nightsafe.store.identities import Account
from nightsafe.store.interface import Store

_CREATED = "Created an account. Its credentials are shown only once:"


@click.group("account")
def command() -> None:
    """Create and list accounts.

    Changes take effect at once, also on a running server.
    """


@command.command("create")
@data_option
@account_id_option
@click.option("--name", default="Nightsafe", show_default=True, help="The account's name.")
@email_option(None, "E-mail address of the owner: an existing user, or a new one.")
@json_option
def create(data: Path, account_id: str, name: str, email: str, *, as_json: bool) -> None:
    """Create an account with an owner and an all-access token.

    Every credential is printed once and not stored. An existing user keeps their Global API key.
    """
    with print_before_storing("the credentials") as show:

        async def work(store: Store) -> Credentials:
            """Create the account unless it exists."""
            if await store.account(account_id) is not None:
                raise NightsafeError(Code.INVALID, f"account {account_id} already exists; leave out --account-id")
            return await create_account(
                store,
                account_id,
                name,
                email,
                show=lambda credentials: show(format_credentials(_CREATED, credentials, as_json=as_json)),
            )

        DataDirectory(data).run(work)


@command.command("list")
@data_option
@json_option
def list_(data: Path, *, as_json: bool) -> None:
    """List accounts, oldest first."""

    async def work(store: Store) -> list[Account]:
        """Return all accounts."""
        return await store.accounts()

    accounts = DataDirectory(data).run(work)
    if as_json:
        listed = [
            {"id": account.id, "name": account.name, "created_on": format_time(account.created_on)}
            for account in accounts
        ]
        click.echo(json.dumps({"accounts": listed}))
        return
    rows = [[account.id, format_time(account.created_on), account.name] for account in accounts]
    click.echo(format_table(("id", "created_on", "name"), rows))
