"""`nightsafe init`: a new safe, with its first account, owner and credentials."""

import asyncio
import json
import re
import signal
import sys
import uuid
from pathlib import Path

import click
import msgspec

from nightsafe.cli.data_directory import DataDirectory
from nightsafe.cli.options import data_option, is_text, json_option
from nightsafe.errors import Code, NightsafeError
from nightsafe.store.sqlite import SqliteStore
from nightsafe.workers.provision import Credentials, create_account

_ACCOUNT_ID = re.compile(r"[0-9a-f]{32}")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")


def _check_account_id(_: click.Context, __: click.Parameter, value: str | None) -> str:
    """The given id, or a new one."""
    if value is None:
        return uuid.uuid4().hex
    if not _ACCOUNT_ID.fullmatch(value):
        raise click.BadParameter("give 32 lower-case hex digits")
    return value


def _check_email(_: click.Context, __: click.Parameter, value: str) -> str:
    """The given address, if it can be one."""
    if not _EMAIL.fullmatch(value) or not is_text(value):
        raise click.BadParameter("give an address with an @")
    return value


@click.command("init")
@data_option
@click.option(
    "--account-id", metavar="HEX32", callback=_check_account_id, help="The account's id.  [default: random]"
)
@click.option(
    "--email", default="owner@nightsafe.local", show_default=True, callback=_check_email, help="The owner's e-mail."
)
@json_option
def command(data: Path, account_id: str, email: str, *, as_json: bool) -> None:
    """Make a new safe: data directory, key rings, an account and its owner.

    Every credential is printed once and kept nowhere.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)  # what was begun is removed again
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


def _leave(number: int, _: object) -> None:
    """End by a signal as by an exception, so that `finally` is heeded."""
    sys.exit(128 + number)


def _print(directory: DataDirectory, credentials: Credentials, *, as_json: bool) -> None:
    """Show the credentials, this once."""
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(credentials)))
        return
    click.echo(f"A new safe is in {directory.path}. Its credentials are shown this once:\n")
    for label, value in (
        ("account id", credentials.account_id),
        ("API token", credentials.api_token),
        ("e-mail", credentials.email),
        ("Global API key", credentials.api_key),
    ):
        click.echo(f"  {label:15} {value}")
    click.echo(
        f"\nWho has {directory.private_ring} can open every value: keep a copy where nobody else reads,"
        "\nand move it to the machine that delivers. Serving does not need it."
    )
