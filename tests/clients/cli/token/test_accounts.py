"""`nightsafe account` and `nightsafe user`: new users have access at once, and only to their accounts."""

import json
import re
from typing import Any

import pytest
from tests.clients.wire.talk import SCRIPTS, Wire, token_header
from tests.server import ACCOUNT, Safe, Server, run

OTHER = "0" * 32


def command(safe: Safe, *arguments: str) -> Any:
    """Return the JSON output of a command."""
    done = run(*arguments, "--data", str(safe.path), "--json", cwd=safe.path.parent)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def status(server: Server, credentials: list[tuple[str, str]], account_id: str = ACCOUNT) -> int:
    """Return the status of a read of an account with these credentials."""
    with Wire(server.port, credentials) as wire:
        return wire.ask("GET", SCRIPTS.replace(ACCOUNT, account_id)).status


def key_headers(email: str, key: str) -> list[tuple[str, str]]:
    """Return the headers of a global API key."""
    return [("X-Auth-Email", email), ("X-Auth-Key", key)]


def test_a_new_accounts_credentials_reach_only_it(own_server: Server) -> None:
    """The new account's credentials reach it and not the first account, and `list` shows it."""
    safe = own_server.safe
    made = command(safe, "account", "create", "--account-id", OTHER, "--name", "Two", "--email", "two@example.com")

    credentials = (
        token_header(made["api_token"]),
        key_headers(made["email"], made["api_key"]),
        token_header(safe.api_token),
    )
    assert [status(own_server, each, OTHER) for each in credentials] == [200, 200, 403]
    assert [status(own_server, each) for each in credentials] == [403, 403, 200]
    listed = command(safe, "account", "list")["accounts"]
    assert [(account["id"], account["name"]) for account in listed] == [(ACCOUNT, "Nightsafe"), (OTHER, "Two")]


def test_an_existing_owner_keeps_the_key(own_server: Server) -> None:
    """An existing owner keeps the key, which then reaches both accounts."""
    safe = own_server.safe
    made = command(safe, "account", "create", "--account-id", OTHER, "--email", safe.email)

    assert made["api_key"] == ""
    key = key_headers(safe.email, safe.api_key)
    assert [status(own_server, key, account) for account in (ACCOUNT, OTHER)] == [200, 200]


def test_account_list_as_text(safe: Safe) -> None:
    """`list` without `--json` has a line for each account."""
    done = run("account", "list", "--data", str(safe.path), cwd=safe.path.parent)

    head, line = done.stdout.splitlines()
    assert head.split() == ["id", "created_on", "name"]
    assert line.startswith(ACCOUNT)


def test_a_user_without_an_account_reaches_none(own_server: Server) -> None:
    """A user without an account can authenticate, but reaches no account."""
    made = command(own_server.safe, "user", "create", "--email", "new@example.com")

    assert made["service_key"] == ""
    assert status(own_server, key_headers("new@example.com", made["api_key"])) == 403


def test_a_member_has_the_given_permissions(own_server: Server) -> None:
    """The user's key and service key have the given permissions in the given account."""
    safe = own_server.safe
    flags = ("--account-id", ACCOUNT, "--permission", "Nightsafe Secrets Write", "--service-key")
    made = command(safe, "user", "create", "--email", "new@example.com", *flags)
    script = f"{SCRIPTS}/script"
    with Wire.to(own_server) as owner:
        owner.upload("script")

    assert re.fullmatch(r"v1\.0-\S{30,}", made["service_key"])
    for credentials in (
        key_headers("new@example.com", made["api_key"]),
        [("X-Auth-User-Service-Key", made["service_key"])],
    ):
        with Wire(own_server.port, credentials) as wire:
            assert [wire.ask("GET", path).status for path in (f"{script}/secrets", script)] == [200, 403]


def test_token_create_email_makes_a_members_token(own_server: Server) -> None:
    """`token create --email` makes a token that the member owns and that `list` shows as such."""
    safe = own_server.safe
    command(safe, "user", "create", "--email", "new@example.com", "--account-id", ACCOUNT)
    made = command(safe, "token", "create", "--all-access", "--email", "new@example.com")

    assert status(own_server, token_header(made["api_token"])) == 200
    owners = {token["id"]: token["owner"] for token in command(safe, "token", "list")["tokens"]}
    assert owners[made["id"]] == "user new@example.com"


def test_credentials_as_text(safe: Safe) -> None:
    """Without `--json` each credential is on a line of its own; an empty one is left out."""
    data = ("--data", str(safe.path))
    account = run("account", "create", *data, "--email", safe.email, cwd=safe.path.parent).stdout
    user = run("user", "create", *data, "--email", "a@example.com", "--service-key", cwd=safe.path.parent).stdout

    assert re.search(r"API token +nst_\w{38}\n", account)
    assert "Global API key" not in account
    assert re.search(r"Global API key +nsk_\w{38}\n", user)
    assert re.search(r"service key +v1\.0-\S+\n", user)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("account", "create", "--email", "a@b", "--account-id", ACCOUNT), 1, f"account {ACCOUNT} already exists"),
        (("account", "create", "--email", "a@b", "--account-id", "12"), 2, "--account-id"),
        (("account", "create"), 2, "--email"),
        (("user", "create"), 2, "--email"),
        (("user", "create", "--email", "nobody"), 2, "--email"),
        (("user", "create", "--email", "OWNER@nightsafe.local"), 1, "a user with the e-mail address OWNER@"),
        (("user", "create", "--email", "a@b", "--account-id", OTHER), 1, f"no such account {OTHER}"),
        (("user", "create", "--email", "a@b", "--permission", "All"), 1, "there is no permission 'All'"),
    ],
)
def test_account_and_user_refusals_create_nothing(
    safe: Safe, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """The message names the bad argument, and nothing is created."""
    done = run(*arguments, "--data", str(safe.path), cwd=safe.path.parent)

    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert len(command(safe, "account", "list")["accounts"]) == 1
