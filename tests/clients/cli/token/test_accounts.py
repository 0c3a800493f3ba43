"""`nightsafe account` and `nightsafe user`: who is let in is let in at once, and only there."""

import json
import re
from typing import Any

import pytest
from tests.clients.wire.talk import SCRIPTS, Wire
from tests.server import ACCOUNT, Safe, Server, run

OTHER = "0" * 32


def command(safe: Safe, *arguments: str) -> Any:
    """What a command prints as JSON."""
    done = run(*arguments, "--data", str(safe.path), "--json", cwd=safe.path.parent)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def status(server: Server, credentials: list[tuple[str, str]], account_id: str = ACCOUNT) -> int:
    """How credentials fare with a read of an account."""
    with Wire(server.port, credentials) as wire:
        return wire.ask("GET", SCRIPTS.replace(ACCOUNT, account_id)).status


def bearer(token: str) -> list[tuple[str, str]]:
    """A token's header."""
    return [("Authorization", f"Bearer {token}")]


def pair(email: str, key: str) -> list[tuple[str, str]]:
    """The headers of a Global API key."""
    return [("X-Auth-Email", email), ("X-Auth-Key", key)]


def test_a_second_account(own_server: Server) -> None:
    """Its token and its owner's key reach it and not the first one; it is listed after that."""
    safe = own_server.safe
    made = command(safe, "account", "create", "--account-id", OTHER, "--name", "Two", "--email", "two@example.com")

    credentials = (bearer(made["api_token"]), pair(made["email"], made["api_key"]), bearer(safe.api_token))
    assert [status(own_server, each, OTHER) for each in credentials] == [200, 200, 403]
    assert [status(own_server, each) for each in credentials] == [403, 403, 200]
    listed = command(safe, "account", "list")["accounts"]
    assert [(one["id"], one["name"]) for one in listed] == [(ACCOUNT, "Nightsafe"), (OTHER, "Two")]


def test_an_owner_who_is_there(own_server: Server) -> None:
    """Keeps the key, which now reaches both accounts."""
    safe = own_server.safe
    made = command(safe, "account", "create", "--account-id", OTHER, "--email", safe.email)

    assert made["api_key"] == ""
    key = pair(safe.email, safe.api_key)
    assert [status(own_server, key, account) for account in (ACCOUNT, OTHER)] == [200, 200]


def test_lists_for_people(safe: Safe) -> None:
    """A line for each account."""
    done = run("account", "list", "--data", str(safe.path), cwd=safe.path.parent)

    head, line = done.stdout.splitlines()
    assert head.split() == ["id", "created_on", "name"]
    assert line.startswith(ACCOUNT)


def test_a_user_of_no_account(own_server: Server) -> None:
    """Is known, and may do nothing in any."""
    made = command(own_server.safe, "user", "create", "--email", "new@example.com")

    assert made["service_key"] == ""
    assert status(own_server, pair("new@example.com", made["api_key"])) == 403


def test_a_member(own_server: Server) -> None:
    """The key and the service key do what the permissions say, in the accounts that are named."""
    safe = own_server.safe
    flags = ("--account-id", ACCOUNT, "--permission", "Nightsafe Secrets Write", "--service-key")
    made = command(safe, "user", "create", "--email", "new@example.com", *flags)
    script = f"{SCRIPTS}/script"
    with Wire.to(own_server) as owner:
        owner.upload("script")

    assert re.fullmatch(r"v1\.0-\S{30,}", made["service_key"])
    for credentials in (
        pair("new@example.com", made["api_key"]),
        [("X-Auth-User-Service-Key", made["service_key"])],
    ):
        with Wire(own_server.port, credentials) as wire:
            assert [wire.ask("GET", path).status for path in (f"{script}/secrets", script)] == [200, 403]


def test_a_member_owns_tokens(own_server: Server) -> None:
    """`token create --email` makes the member's token, and lists it as that."""
    safe = own_server.safe
    command(safe, "user", "create", "--email", "new@example.com", "--account-id", ACCOUNT)
    made = command(safe, "token", "create", "--all-access", "--email", "new@example.com")

    assert status(own_server, bearer(made["api_token"])) == 200
    owners = {one["id"]: one["owner"] for one in command(safe, "token", "list")["tokens"]}
    assert owners[made["id"]] == "user new@example.com"


def test_text(safe: Safe) -> None:
    """Without --json every credential stands on a line of its own; what is not there has none."""
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
def test_refusals(safe: Safe, arguments: tuple[str, ...], code: int, words: str) -> None:
    """The item is named on stderr, and nothing is made."""
    done = run(*arguments, "--data", str(safe.path), cwd=safe.path.parent)

    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert len(command(safe, "account", "list")["accounts"]) == 1
