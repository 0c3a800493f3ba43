"""`nightsafe user`: creates users, for the operator at the machine."""

from pathlib import Path

import click

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.settings.options import data_option, email_option, json_option
from nightsafe.cli.terminal.credential_output import format_credentials, print_before_storing
from nightsafe.cli.token.policies import groups_of
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.permissions import ALL_ACCESS
from nightsafe.services.identity.administration import UserCredentials, create_user
from nightsafe.services.identity.operator import add_member, find_account
from nightsafe.store.interface import Store

_CREATED = "Created a user. The credentials are shown only once:"


@click.group("user")
def command() -> None:
    """Create users.

    Changes take effect at once, also on a running server.
    """


@command.command("create")
@data_option
@email_option(None, "The user's e-mail address.")
@click.option(
    "--account-id",
    "account_ids",
    metavar="HEX32",
    multiple=True,
    help="An account to make the user a member of. Repeatable.  [default: none]",
)
@click.option(
    "--permission",
    "permissions",
    metavar="NAME",
    multiple=True,
    help="Name or ID of a permission group to grant in these accounts. Repeatable.  [default: all]",
)
@click.option("--service-key", is_flag=True, help="Create a user service key too.")
@json_option
def create(  # noqa: PLR0913 - one for each option
    *,
    data: Path,
    email: str,
    account_ids: tuple[str, ...],
    permissions: tuple[str, ...],
    service_key: bool,
    as_json: bool,
) -> None:
    """Create a user with a Global API key.

    Every credential is printed once and not stored.
    """
    groups = [group.id for group in groups_of(permissions)] or [ALL_ACCESS]

    with print_before_storing("the credentials") as show:

        async def work(store: Store) -> UserCredentials:
            """Create the user unless the e-mail address is taken."""
            if await store.user_by_email(email) is not None:
                raise NightsafeError(
                    Code.INVALID, f"a user with the e-mail address {email} already exists; give another --email"
                )
            accounts = [await find_account(store, account_id) for account_id in account_ids]
            credentials = await create_user(
                store,
                email,
                show=lambda credentials: show(format_credentials(_CREATED, credentials, as_json=as_json)),
                with_service_key=service_key,
            )
            for account in accounts:
                await add_member(store, credentials.user_id, account.id, groups)
            return credentials

        DataDirectory(data).run(work)
