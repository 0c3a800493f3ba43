"""`nightsafe user`: users of a safe, made by the operator at the machine."""

import json
from pathlib import Path

import click
import msgspec

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.settings.options import credential_lines, data_option, email_option, json_option
from nightsafe.cli.terminal.handing_over import handing_over
from nightsafe.cli.token.policies import groups_of
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.permissions import ALL_ACCESS
from nightsafe.services.identity.administration import UserCredentials, create_user
from nightsafe.services.identity.operator import account_of, add_member
from nightsafe.store.sqlite import SqliteStore


@click.group("user")
def command() -> None:
    """Make users.

    What is done takes effect at once, also on a server that runs.
    """


@command.command("create")
@data_option
@email_option(None, "The user's e-mail.")
@click.option(
    "--account-id",
    "account_ids",
    metavar="HEX32",
    multiple=True,
    help="An account to be a member of.  [default: none]",
)
@click.option(
    "--permission",
    "permissions",
    metavar="NAME",
    multiple=True,
    help="What the user's keys may do there: a permission group's name or id.  [default: all]",
)
@click.option("--service-key", is_flag=True, help="Make a user service key too.")
@json_option
def create(  # noqa: PLR0913 - a user has many sides
    *,
    data: Path,
    email: str,
    account_ids: tuple[str, ...],
    permissions: tuple[str, ...],
    service_key: bool,
    as_json: bool,
) -> None:
    """Make a user with a Global API key.

    Every credential is printed once and kept nowhere.
    """
    groups = [group.id for group in groups_of(permissions)] or [ALL_ACCESS]

    with handing_over("the credentials") as show:

        async def work(store: SqliteStore) -> UserCredentials:
            """Make one, unless the e-mail is taken."""
            if await store.user_by_email(email) is not None:
                raise NightsafeError(Code.INVALID, f"there is a user with the e-mail {email}; give another --email")
            accounts = [await account_of(store, account_id) for account_id in account_ids]
            made = await create_user(
                store,
                email,
                show=lambda made: show(_text(made, as_json=as_json)),
                with_service_key=service_key,
            )
            for account in accounts:
                await add_member(store, made.user_id, account.id, groups)
            return made

        DataDirectory(data).run(work)


def _text(made: UserCredentials, *, as_json: bool) -> str:
    """What is printed of a new user."""
    if as_json:
        return json.dumps(msgspec.to_builtins(made))
    lines = credential_lines(
        user_id=made.user_id, email=made.email, api_key=made.api_key, service_key=made.service_key
    )
    return f"A new user. The credentials are shown this once:\n\n{lines}"
