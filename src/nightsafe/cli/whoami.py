"""`nightsafe whoami`: shows the owner of the credentials."""

from contextlib import suppress
from typing import Any

import click

from nightsafe.cli.settings.options import json_option
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.settings.remote_options import remote_options
from nightsafe.cli.terminal.output import fields_table, show_json
from nightsafe.client import APIStatusError


@click.command("whoami")
@remote_options
@json_option
def command(*, remote: Remote, as_json: bool) -> None:
    """Show the owner of the credentials and the accounts that they can access."""
    accounts = [{"id": one.id, "name": one.name} for one in remote.client.accounts.list()]
    found: dict[str, Any] = {"server": remote.client.base_url, **_user(remote), "token": _token(remote, accounts)}
    if as_json:
        show_json(found | {"accounts": accounts})
        return
    token = found["token"]
    shown = f"{token['id']}, {token['status']}, of {token['owner']}" if token else "none: a key"
    if token and token["expires_on"]:
        shown += f", until {token['expires_on']}"
    named = ", ".join(f"{one['id']} ({one['name']})" for one in accounts)
    fields_table({**found, "token": shown, "accounts": named or "none"})


def _user(remote: Remote) -> dict[str, str | None]:
    """Return the user who owns the credentials; None for each field that they may not read."""
    with suppress(APIStatusError):
        user = remote.client.user.get()
        return {"email": user.email, "user_id": user.id}
    return {"email": None, "user_id": None}


def _token(remote: Remote, accounts: list[dict[str, str]]) -> dict[str, Any] | None:
    """Return the token, which belongs to a user or an account; None if the credentials are a key."""
    with suppress(APIStatusError):
        mine = remote.client.user.tokens.verify()
        return {"id": mine.id, "status": mine.status, "owner": "user", "expires_on": mine.expires_on}
    for account in accounts:
        with suppress(APIStatusError):
            its = remote.client.request("GET", f"/accounts/{account['id']}/tokens/verify")
            return {"id": its["id"], "status": its["status"], "owner": "account", "expires_on": its.get("expires_on")}
    return None
