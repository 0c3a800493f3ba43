"""`nightsafe token`: creates, lists, rolls and revokes API tokens, for the operator at the machine."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec

from nightsafe.api.http.times import format_time
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.settings.options import check_text, data_option, json_option, seconds_type
from nightsafe.cli.settings.server_address import KEPT_TOKEN
from nightsafe.cli.terminal.confirm import confirm, yes_option
from nightsafe.cli.terminal.credential_output import print_before_storing
from nightsafe.cli.terminal.output import say
from nightsafe.cli.terminal.table import format_table
from nightsafe.cli.token.lifetime import DEFAULT_DAYS, check_time, expiry_of
from nightsafe.cli.token.policies import Scopes, check_ranges, condition_of, confirm_unlimited, policies_of
from nightsafe.cli.token.refused_rows import command as refused_rows
from nightsafe.identity import credentials
from nightsafe.identity.conditions import Condition
from nightsafe.sealing import files
from nightsafe.services.caller import now
from nightsafe.services.identity.administration import IssuedToken, issue_token
from nightsafe.services.identity.operator import (
    all_tokens,
    find_account,
    find_member,
    find_token,
    revoke_token,
    roll_token,
    tokens_of_account_and_members,
)
from nightsafe.services.identity.tokens import ACTIVE, status_of
from nightsafe.store.identities import Token
from nightsafe.store.interface import Store

_TIME = "RFC3339"


@click.group("token")
def command() -> None:
    """Create, list, roll and revoke API tokens.

    Changes take effect at once, also on a running server.
    """


@command.command("create")
@data_option
@click.option("--account-id", metavar="HEX32", help="The account's ID.  [default: the oldest account]")
@click.option("--name", default="token", show_default=True, callback=check_text, help="The token's name.")
@click.option(
    "--permission",
    "permissions",
    metavar="NAME",
    multiple=True,
    help="Name or ID of a permission group to grant. Repeatable.",
)
@click.option(
    "--script", "scripts", metavar="GLOB", multiple=True, help="Scripts to allow. Repeatable.  [default: all]"
)
@click.option("--all-access", is_flag=True, help="Grant everything that is possible in the account.")
@click.option(
    "--deny-permission",
    metavar="NAME",
    multiple=True,
    help="Permission to deny. Repeatable.  [default: all, with --deny-script]",
)
@click.option(
    "--deny-script",
    metavar="GLOB",
    multiple=True,
    help="Scripts to deny. Repeatable.  [default: all, with --deny-permission]",
)
@click.option(
    "--ip", metavar="CIDR", multiple=True, callback=check_ranges, help="Addresses that may use the token. Repeatable."
)
@click.option(
    "--not-ip",
    metavar="CIDR",
    multiple=True,
    callback=check_ranges,
    help="Addresses that may not use the token. Repeatable.",
)
@click.option(
    "--not-before", metavar=_TIME, callback=check_time, help="Time at which the token becomes valid.  [default: now]"
)
@click.option(
    "--expires-in",
    type=seconds_type,
    metavar="SECONDS",
    help=f"Seconds for which the token is valid.  [default: {DEFAULT_DAYS} days]",
)
@click.option("--expires-on", metavar=_TIME, callback=check_time, help="Time at which the token expires.")
@click.option("--no-expiry", is_flag=True, help="The token never expires.")
@click.option(
    "--owner", type=click.Choice(["user", "account"]), default="user", show_default=True, help="Owner of the token."
)
@click.option(
    "--email", help="E-mail address of the user who owns or creates the token.  [default: the account's first member]"
)
@click.option(
    "--keep",
    is_flag=True,
    help="Store the token in the data directory, for `nightsafe` on this machine, and do not print it.",
)
@json_option
def create(*, data: Path, keep: bool, as_json: bool, **options: Any) -> None:
    """Create a token and print it once.

    Without --permission the token allows everything that is possible in the account. In that case, restrict the
    token with --script, --deny-permission or --deny-script, or give --all-access, or confirm the question. A denied
    permission stays denied, even if another option allows it.
    """
    end = expiry_of(options["expires_in"], options["expires_on"], options["not_before"], never=options["no_expiry"])
    scopes = Scopes(
        permissions=options["permissions"],
        scripts=options["scripts"],
        denied_permissions=options["deny_permission"],
        denied_scripts=options["deny_script"],
    )
    confirm_unlimited(scopes, all_access=options["all_access"])
    directory, stored = DataDirectory(data), data / KEPT_TOKEN
    before = _stored_token(directory, stored) if keep else None
    with _storing(stored) if keep else _printing(end, as_json=as_json) as hand_over:
        account, issued = directory.run(lambda store: _issue(store, scopes, end, options, hand_over))
    if keep:
        fields = _new_token_fields(account, issued, end)
        click.echo(json.dumps(fields) if as_json else f"Stored the token {issued.id} in {stored}")
    if before is not None:
        say(f"the token {before.id}, stored there before, is still valid. Run: nightsafe token revoke {before.id}")
    if end and not as_json and options["expires_in"] is None and options["expires_on"] is None:
        say(f"the token expires on {format_time(end)}; change this with --expires-in, --expires-on or --no-expiry")


async def _issue(
    store: Store,
    scopes: Scopes,
    end: int | None,
    options: dict[str, Any],
    hand_over: Callable[[str, IssuedToken], None],
) -> tuple[str, IssuedToken]:
    """Create a token after `hand_over` has printed or stored it. Return the account's ID and the token."""
    account = await find_account(store, options["account_id"])
    user = await find_member(store, account, options["email"])
    issued = await issue_token(
        store,
        account.id,
        user.id,
        options["name"],
        show=lambda issued: hand_over(account.id, issued),
        policies=policies_of(scopes, account.id, user.id if options["owner"] == "user" else ""),
        condition=condition_of(options["ip"], options["not_ip"]),
        not_before=options["not_before"],
        expires_on=end,
        owner=options["owner"],
    )
    return account.id, issued


def _stored_token(directory: DataDirectory, path: Path) -> Token | None:
    """Return the token stored in a file if it is still valid, or None."""
    try:
        digest = credentials.digest(path.read_bytes().strip())
    except OSError:
        return None
    token = directory.run(lambda store: store.token(digest))
    return token if token and status_of(token, now()) == ACTIVE else None


@command.command("list")
@data_option
@click.option(
    "--account-id", metavar="HEX32", help="List the tokens of this account and its members.  [default: all accounts]"
)
@json_option
def list_(data: Path, account_id: str | None, *, as_json: bool) -> None:
    """List tokens, oldest first. The tokens themselves are not shown, because they are not stored."""

    async def work(store: Store) -> list[dict[str, Any]]:
        """Return the tokens in the form of the list."""
        if account_id is None:
            return [await _token_fields(store, token) for token in await all_tokens(store)]
        return [
            await _token_fields(store, token)
            for token in await tokens_of_account_and_members(store, await find_account(store, account_id))
        ]

    tokens = DataDirectory(data).run(work)
    if as_json:
        click.echo(json.dumps({"tokens": tokens}))
        return
    columns = ("id", "status", "owner", "expires_on", "name")
    click.echo(format_table(columns, [[str(token[column] or "-") for column in columns] for token in tokens]))


@command.command("roll")
@data_option
@click.argument("token_id", metavar="ID")
@yes_option
@json_option
def roll(data: Path, token_id: str, *, yes: bool, as_json: bool) -> None:
    """Give a token a new value and print it once. The old value is refused from now on."""
    directory = DataDirectory(data)
    name = directory.run(lambda store: find_token(store, token_id)).name
    confirm(f"Give the token {name} ({token_id}) a new value? The old value will be refused.", yes=yes)
    with print_before_storing("the token") as show:

        def hand_over(issued: IssuedToken) -> None:
            """Print the new value."""
            show(json.dumps({"id": issued.id, "api_token": issued.token}) if as_json else issued.token)

        directory.run(lambda store: roll_token(store, token_id, show=hand_over))


@command.command("revoke")
@data_option
@click.argument("token_id", metavar="ID")
@yes_option
@json_option
def revoke(data: Path, token_id: str, *, yes: bool, as_json: bool) -> None:
    """Delete a token. It is refused from now on."""
    directory = DataDirectory(data)
    name = directory.run(lambda store: find_token(store, token_id)).name
    confirm(f"Delete the token {name} ({token_id})? It will be refused.", yes=yes)
    directory.run(lambda store: revoke_token(store, token_id))
    click.echo(json.dumps({"id": token_id}) if as_json else f"Revoked the token {token_id}")


command.add_command(refused_rows)


def _new_token_fields(account: str, issued: IssuedToken, end: int | None) -> dict[str, Any]:
    """Return the metadata of a new token, without its value."""
    return {"account_id": account, "id": issued.id, "expires_on": None if end is None else format_time(end)}


@contextmanager
def _printing(end: int | None, *, as_json: bool) -> Iterator[Callable[[str, IssuedToken], None]]:
    """Give a function that prints a new token."""
    with print_before_storing("the token") as show:

        def hand_over(account: str, issued: IssuedToken) -> None:
            """Print the token."""
            fields = _new_token_fields(account, issued, end) | {"api_token": issued.token}
            show(json.dumps(fields) if as_json else issued.token)

        yield hand_over


@contextmanager
def _storing(path: Path) -> Iterator[Callable[[str, IssuedToken], None]]:
    """Give a function that writes a new token to a file. If creating the token fails, the old file is restored."""
    before = path.read_bytes() if path.is_file() else None
    written = False

    def hand_over(_: str, issued: IssuedToken) -> None:
        """Write the token."""
        nonlocal written
        files.write(path, issued.token.encode() + b"\n", private=True, replace=True)
        written = True

    try:
        yield hand_over
    except BaseException:
        if written and before is not None:
            files.write(path, before, private=True, replace=True)
        elif written:
            path.unlink()
        raise


async def _token_fields(store: Store, token: Token) -> dict[str, Any]:
    """Return a token's metadata for the list."""
    user = await store.user(token.user_id)
    email = user.email if user else ""
    return {
        "id": token.id,
        "name": token.name,
        "status": status_of(token, now()),
        "owner": f"account {token.account_id}" if token.account_id else f"user {email}",
        "account_id": token.account_id or None,
        "email": email or None,
        "policies": json.loads(token.policies),
        "condition": msgspec.to_builtins(msgspec.json.decode(token.condition, type=Condition)),
        "issued_on": format_time(token.issued_on),
        "modified_on": format_time(token.modified_on),
        "not_before": None if token.not_before is None else format_time(token.not_before),
        "expires_on": None if token.expires_on is None else format_time(token.expires_on),
    }
