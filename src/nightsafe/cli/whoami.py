"""`nightsafe whoami`: shows the owner of the credentials."""

from contextlib import suppress
from typing import Any

import click

from nightsafe.cli.settings.options import json_option
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.settings.remote_options import remote_options
from nightsafe.cli.terminal.output import show_fields, show_json
from nightsafe.client import APIStatusError


@click.command("whoami")
@remote_options
@json_option
def command(*, remote: Remote, as_json: bool) -> None:
    """Show the owner of the credentials and the accounts that they can access."""
    accounts = [{"id": account.id, "name": account.name} for account in remote.client.accounts.list()]
    result: dict[str, Any] = {"server": remote.client.base_url, **_user(remote), "token": _token(remote, accounts)}
    if as_json:
        show_json(result | {"accounts": accounts})
        return
    token = result["token"]
    description = (
        f"{token['id']}, {token['status']}, of {token['owner']}"
        if token
        else "none (the credentials are a Global API key)"
    )
    if token and token["expires_on"]:
        description += f", until {token['expires_on']}"
    account_list = ", ".join(f"{account['id']} ({account['name']})" for account in accounts)
    show_fields({**result, "token": description, "accounts": account_list or "none"})


def _user(remote: Remote) -> dict[str, str | None]:
    """Return the user who owns the credentials; None for each field that they may not read."""
    with suppress(APIStatusError):
        user = remote.client.user.get()
        return {"email": user.email, "user_id": user.id}
    return {"email": None, "user_id": None}


def _token(remote: Remote, accounts: list[dict[str, str]]) -> dict[str, Any] | None:
    """Return the token, which belongs to a user or an account; None if the credentials are a key."""
    with suppress(APIStatusError):
        token = remote.client.user.tokens.verify()
        return {"id": token.id, "status": token.status, "owner": "user", "expires_on": token.expires_on}
    for account in accounts:
        with suppress(APIStatusError):
            token = remote.client.request("GET", f"/accounts/{account['id']}/tokens/verify")
            return {
                "id": token["id"],
                "status": token["status"],
                "owner": "account",
                "expires_on": token.get("expires_on"),
            }
    return None
