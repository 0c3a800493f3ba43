"""`nightsafe token`: what is made by flags does what they say on a server that runs, and nothing else."""

import datetime as dt
import json
import re
from typing import Any

import pytest
from tests.clients.cli.tools.terminal import Terminal
from tests.clients.wire.talk import SCRIPTS, Answer, Wire
from tests.server import ACCOUNT, NIGHTSAFE, Safe, Server, clean_environ, run

ID = re.compile(r"[0-9a-f]{32}")
REFUSED = (403, [10000])
SECRET = {"name": "a", "text": "a value", "type": "secret_text"}


def token(safe: Safe, *arguments: str) -> Any:
    """What a command of `nightsafe token` prints as JSON."""
    command, *rest = arguments
    done = run("token", command, "--data", str(safe.path), "--json", *rest, cwd=safe.path.parent)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def refusal(safe: Safe, *arguments: str, code: int = 1) -> str:
    """What it says when it does not."""
    command, *rest = arguments
    done = run("token", command, "--data", str(safe.path), *rest, cwd=safe.path.parent)
    assert (done.returncode, done.stdout) == (code, "")
    assert "Traceback" not in done.stderr
    return done.stderr


class Caller:
    """A client with a token of the command line's."""

    def __init__(self, server: Server, *arguments: str) -> None:
        self.made = token(server.safe, "create", *arguments)
        self._port = server.port

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        """One request."""
        with Wire(self._port, [("Authorization", f"Bearer {self.made['api_token']}")]) as wire:
            return wire.ask(method, path) if body is None else wire.send(method, path, body)

    def may_put(self, script: str) -> bool:
        """Whether it may set a secret of a script."""
        answer = self.ask("PUT", f"{SCRIPTS}/{script}/secrets", SECRET)
        assert answer.status == 200 or answer.refusal == REFUSED
        return answer.status == 200

    def may_read_code(self, script: str) -> bool:
        """Whether it may read a script's code."""
        return self.ask("GET", f"{SCRIPTS}/{script}").status == 200

    def may_list(self) -> bool:
        """Whether it may list the account's scripts."""
        return self.ask("GET", SCRIPTS).status == 200


@pytest.fixture
def server(own_server: Server) -> Server:
    """A server with three scripts."""
    with Wire.to(own_server) as wire:
        for script in ("billing-api", "billing-web", "shop"):
            wire.upload(script)
    return own_server


def test_everything(server: Server) -> None:
    """With --all-access it may do all that can be done in the account."""
    caller = Caller(server, "--all-access")

    assert sorted(caller.made) == ["account_id", "api_token", "expires_on", "id"]
    assert caller.made["account_id"] == ACCOUNT
    assert ID.fullmatch(caller.made["id"])
    assert (caller.may_list(), caller.may_put("shop"), caller.may_read_code("shop")) == (True, True, True)


def test_nobody_gets_everything_by_leaving_things_out(safe: Safe) -> None:
    """Without a limit of what it may do, and nobody to ask, nothing is made, and both ways out are named."""
    words = refusal(safe, "create", code=2)

    assert "give --permission or --script, or --all-access for such a token" in words
    assert 1 == len(token(safe, "list")["tokens"])


@pytest.mark.parametrize(("reply", "code", "made"), [("y", 0, 2), ("n", 1, 1)])
def test_at_a_terminal_it_is_asked(safe: Safe, reply: str, code: int, made: int) -> None:
    """Everything is given only to who says yes."""
    command = [*NIGHTSAFE, "token", "create", "--data", str(safe.path)]
    with Terminal(command, safe.path.parent, clean_environ()) as terminal:
        terminal.answer("for everything that is possible in the account?", reply)
        ended = terminal.end()

    assert (code, made) == (ended, len(token(safe, "list")["tokens"]))


def test_a_token_ends(safe: Safe) -> None:
    """After 90 days, counted from its beginning, which is told; never only when that is asked for."""
    made = run("token", "create", "--all-access", "--data", str(safe.path), cwd=safe.path.parent)
    later = token(safe, "create", "--all-access", "--not-before", "2999-01-01T00:00:00Z")
    never = token(safe, "create", "--all-access", "--no-expiry")
    ends = [one["expires_on"] for one in token(safe, "list")["tokens"]][1:]

    days = (dt.datetime.fromisoformat(ends[0]) - dt.datetime.now(dt.UTC)) / dt.timedelta(days=1)
    assert 89.9 < days <= 90
    assert (
        f"the token expires on {ends[0]}; change this with --expires-in, --expires-on or --no-expiry" in made.stderr
    )
    assert re.fullmatch(r"nst_\w+\n", made.stdout)
    assert ("2999-04-01T00:00:00Z", None) == (later["expires_on"], never["expires_on"])
    assert [later["expires_on"], None] == ends[1:]
    assert "give only one of --expires-in, --expires-on and --no-expiry" in refusal(
        safe, "create", "--all-access", "--no-expiry", "--expires-in", "5", code=2
    )


def test_one_permission_for_some_scripts(server: Server) -> None:
    """It sets the secrets of `billing-*` and does nothing else."""
    caller = Caller(server, "--permission", "nightsafe secrets write", "--script", "billing-*")

    assert [caller.may_put(script) for script in ("billing-api", "billing-web", "shop")] == [True, True, False]
    assert (caller.may_read_code("billing-api"), caller.may_list()) == (False, False)


def test_several(server: Server) -> None:
    """Permissions and scripts add up; a permission is also known by its id."""
    read = "1a71c399035b4950a1bd1466bbe4f420"
    scripts = ("--script", "shop", "--script", "billing-web")
    caller = Caller(server, "--permission", read, "--permission", "Nightsafe Secrets Write", *scripts)

    assert [caller.may_put(script) for script in ("billing-api", "billing-web", "shop")] == [False, True, True]
    assert [caller.may_read_code(script) for script in ("billing-api", "billing-web", "shop")] == [False, True, True]


@pytest.mark.parametrize(
    ("flags", "puts", "reads_code"),
    [
        (("--deny-script", "billing-*"), [False, True], [False, True]),
        (("--deny-permission", "Nightsafe Secrets Write"), [False, False], [True, True]),
        (
            ("--deny-permission", "Nightsafe Secrets Write", "--deny-script", "billing-*"),
            [False, True],
            [True, True],
        ),
    ],
)
def test_deny(server: Server, flags: tuple[str, ...], puts: list[bool], reads_code: list[bool]) -> None:
    """What is denied is denied, whatever is allowed: somewhere, something, or something somewhere."""
    caller = Caller(server, *flags)

    assert [caller.may_put(script) for script in ("billing-api", "shop")] == puts
    assert [caller.may_read_code(script) for script in ("billing-api", "shop")] == reads_code


@pytest.mark.parametrize(
    ("flags", "passes"),
    [
        (("--ip", "127.0.0.0/8"), True),
        (("--ip", "192.0.2.0/24"), False),
        (("--ip", "192.0.2.0/24", "--ip", "127.0.0.1"), True),
        (("--not-ip", "127.0.0.1/32"), False),
        (("--ip", "127.0.0.0/8", "--not-ip", "127.0.0.1"), False),
        (("--not-before", "2999-01-01T00:00:00Z"), False),
        (("--not-before", "2020-01-01T00:00:00+01:00", "--expires-on", "2999-01-01T00:00:00Z"), True),
        (("--expires-in", "3600"), True),
    ],
)
def test_conditions(server: Server, flags: tuple[str, ...], *, passes: bool) -> None:
    """It works from where and while it may."""
    assert Caller(server, "--all-access", *flags).may_list() is passes


def test_owners(server: Server) -> None:
    """A user's token verifies among the user's, an account's among the account's."""
    of_user = Caller(server, "--permission", "User Details Read")
    of_account = Caller(server, "--all-access", "--owner", "account")
    paths = ("/client/v4/user/tokens/verify", f"/client/v4/accounts/{ACCOUNT}/tokens/verify")

    for caller, path in zip((of_user, of_account), paths, strict=True):
        assert json.loads(caller.ask("GET", path).body)["result"]["id"] == caller.made["id"]
    assert of_account.ask("GET", paths[0]).refusal == (401, [1000])
    assert of_user.ask("GET", "/client/v4/user").result["email"] == server.safe.email


def test_list(safe: Safe) -> None:
    """Every token is listed with what it may do, oldest first, and none with its value."""
    made = token(safe, "create", "--name", "of-the-night", "--permission", "Workers Scripts Read", "--ip", "::1")
    account = token(safe, "create", "--all-access", "--owner", "account", "--expires-on", "2999-01-01T00:00:00Z")

    first, second, third = token(safe, "list")["tokens"]

    assert [one["id"] for one in (second, third)] == [made["id"], account["id"]]
    assert (first["name"], first["owner"]) == ("owner", f"user {safe.email}")
    assert (second["name"], second["status"], second["email"]) == ("of-the-night", "active", safe.email)
    assert second["policies"][0]["permission_groups"] == [{"id": "1a71c399035b4950a1bd1466bbe4f420"}]
    assert second["condition"] == {"request_ip": {"in": ["::1"]}}
    assert (third["owner"], third["expires_on"]) == (f"account {ACCOUNT}", "2999-01-01T00:00:00Z")
    assert token(safe, "list", "--account-id", ACCOUNT)["tokens"] == [first, second, third]


def test_list_for_people(safe: Safe) -> None:
    """A line for each token, and nothing in it that a terminal would obey."""
    token(safe, "create", "--all-access", "--name", "evil\x1b[2J\nname")

    done = run("token", "list", "--data", str(safe.path), cwd=safe.path.parent)

    head, first, second = done.stdout.splitlines()
    assert head.split() == ["id", "status", "owner", "expires_on", "name"]
    assert first.endswith("  owner")
    assert second.endswith("  evil?[2J?name")
    assert safe.api_token not in done.stdout


def test_roll(server: Server) -> None:
    """The new value works at once and the old one does not; what it may do stays."""
    caller = Caller(server, "--permission", "Nightsafe Secrets Write", "--script", "shop")
    old = dict(caller.made)
    assert caller.may_put("shop")

    rolled = token(server.safe, "roll", old["id"], "--yes")

    assert not caller.may_put("shop")
    caller.made = rolled
    assert rolled["id"] == old["id"]
    assert rolled["api_token"] != old["api_token"]
    assert (caller.may_put("shop"), caller.may_put("billing-api")) == (True, False)


def test_revoke(server: Server) -> None:
    """It is refused by the next request, and listed no more."""
    caller = Caller(server, "--all-access")
    assert caller.may_list()

    assert token(server.safe, "revoke", caller.made["id"], "--yes") == {"id": caller.made["id"]}

    assert caller.ask("GET", SCRIPTS).refusal == REFUSED
    assert caller.made["id"] not in {one["id"] for one in token(server.safe, "list")["tokens"]}
    assert "no such token: " in refusal(server.safe, "revoke", caller.made["id"])


def test_text(safe: Safe) -> None:
    """Without --json a token is all that is printed, and a revoked one is named."""
    made = token(safe, "create", "--all-access")
    rolled = run("token", "roll", "--data", str(safe.path), made["id"], "--yes", cwd=safe.path.parent).stdout
    revoked = run("token", "revoke", "--data", str(safe.path), made["id"], "--yes", cwd=safe.path.parent).stdout

    assert re.fullmatch(r"nst_[0-9A-Za-z]{38}\n", rolled)
    assert revoked == f"Revoked the token {made['id']}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("create", "--permission", "Everything"),
            "there is no permission 'Everything'; the permissions are: Workers Scripts",
        ),
        (("create", "--deny-permission", "Everything"), "there is no permission 'Everything'"),
        (("create", "--script", "Billing-*"), "'Billing-*' cannot match a script; use lower-case letters"),
        (("create", "--deny-script", ""), "'' cannot match a script"),
        (("create", "--owner", "account", "--permission", "User Details Read"), "use --owner user"),
        (
            ("create", "--all-access", "--account-id", "f" * 32),
            f"no such account {'f' * 32}; see: nightsafe account list",
        ),
        (
            ("create", "--all-access", "--email", "nobody@example.com"),
            "nobody@example.com is not a member of account",
        ),
        (("list", "--account-id", "f" * 32), "see: nightsafe account list"),
        (("roll", "f" * 32), f"no such token: {'f' * 32}; see: nightsafe token list"),
        (("revoke", "none"), "no such token: none; see: nightsafe token list"),
    ],
)
def test_refusals(safe: Safe, arguments: tuple[str, ...], words: str) -> None:
    """One line on stderr names the item and the way out, and nothing is made."""
    before = token(safe, "list")

    [line] = refusal(safe, *arguments).splitlines()

    assert line.startswith("nightsafe: ")
    assert words in line
    assert before == token(safe, "list")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("create", "--ip", "192.0.2.1/33"), "--ip"),
        (("create", "--not-ip", "home"), "--not-ip"),
        (("create", "--not-before", "tomorrow"), "--not-before"),
        (("create", "--expires-on", "2030-01-01T00:00:00"), "--expires-on"),
        (("create", "--expires-on", "2020-01-01T00:00:00Z"), "never be valid"),
        (("create", "--not-before", "2990-01-01T00:00:00Z", "--expires-in", "5"), "never be valid"),
        (("create", "--expires-on", "2990-01-01T00:00:00Z", "--expires-in", "5"), "give only one of --expires-in"),
        (("create", "--owner", "nobody"), "--owner"),
        (("roll",), "ID"),
        (("revoke",), "ID"),
    ],
)
def test_mistakes(safe: Safe, arguments: tuple[str, ...], words: str) -> None:
    """A command line that cannot be meant is exit code 2 and names the flag."""
    assert words in refusal(safe, *arguments, code=2)


def test_the_log_says_operator(safe: Safe) -> None:
    """Making, rolling and revoking each leave an entry, without the token."""
    made = token(safe, "create", "--all-access")
    rolled = token(safe, "roll", made["id"], "--yes")
    token(safe, "revoke", made["id"], "--yes")

    kept = b"".join(path.read_bytes() for path in safe.path.rglob("*") if path.is_file())
    for action in (b"tokens.create", b"tokens.roll", b"tokens.delete"):
        assert b'"action":"%b"' % action in kept
    assert b'"actor_kind":"operator"' in kept
    assert [one for one in (made, rolled) if one["api_token"].encode() in kept] == []
