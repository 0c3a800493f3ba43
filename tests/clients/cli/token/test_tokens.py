"""`nightsafe token`: a token that is made with flags can do exactly that on a running server."""

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
    """Return the JSON output of a `nightsafe token` command."""
    command, *rest = arguments
    done = run("token", command, "--data", str(safe.path), "--json", *rest, cwd=safe.path.parent)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def refusal(safe: Safe, *arguments: str, code: int = 1) -> str:
    """Return the message of a `nightsafe token` command that is refused."""
    command, *rest = arguments
    done = run("token", command, "--data", str(safe.path), *rest, cwd=safe.path.parent)
    assert (done.returncode, done.stdout) == (code, "")
    assert "Traceback" not in done.stderr
    return done.stderr


class Caller:
    """A client with a token from the command line."""

    def __init__(self, server: Server, *arguments: str) -> None:
        self.made = token(server.safe, "create", *arguments)
        self._port = server.port

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        """Send one request."""
        with Wire(self._port, [("Authorization", f"Bearer {self.made['api_token']}")]) as wire:
            return wire.ask(method, path) if body is None else wire.send(method, path, body)

    def may_put(self, script: str) -> bool:
        """Return True if the token can set a secret of a script."""
        answer = self.ask("PUT", f"{SCRIPTS}/{script}/secrets", SECRET)
        assert answer.status == 200 or answer.refusal == REFUSED
        return answer.status == 200

    def may_read_code(self, script: str) -> bool:
        """Return True if the token can read a script's code."""
        return self.ask("GET", f"{SCRIPTS}/{script}").status == 200

    def may_list(self) -> bool:
        """Return True if the token can list the account's scripts."""
        return self.ask("GET", SCRIPTS).status == 200


@pytest.fixture
def server(own_server: Server) -> Server:
    """Return a server with three scripts."""
    with Wire.to(own_server) as wire:
        for script in ("billing-api", "billing-web", "shop"):
            wire.upload(script)
    return own_server


def test_all_access_grants_everything(server: Server) -> None:
    """With `--all-access` a token has every permission in the account."""
    caller = Caller(server, "--all-access")

    assert sorted(caller.made) == ["account_id", "api_token", "expires_on", "id"]
    assert caller.made["account_id"] == ACCOUNT
    assert ID.fullmatch(caller.made["id"])
    assert (caller.may_list(), caller.may_put("shop"), caller.may_read_code("shop")) == (True, True, True)


def test_without_flags_no_token_is_made(safe: Safe) -> None:
    """Without a limit, and without a terminal, no token is made; the message names the flags to give."""
    words = refusal(safe, "create", code=2)

    assert "give --permission or --script, or --all-access for such a token" in words
    assert 1 == len(token(safe, "list")["tokens"])


@pytest.mark.parametrize(("reply", "code", "made"), [("y", 0, 2), ("n", 1, 1)])
def test_in_a_terminal_all_access_needs_a_yes(safe: Safe, reply: str, code: int, made: int) -> None:
    """In a terminal a token with all access is made only after the answer "y"."""
    command = [*NIGHTSAFE, "token", "create", "--data", str(safe.path)]
    with Terminal(command, safe.path.parent, clean_environ()) as terminal:
        terminal.answer("for everything that is possible in the account?", reply)
        ended = terminal.end()

    assert (code, made) == (ended, len(token(safe, "list")["tokens"]))


def test_a_token_expires_after_90_days_by_default(safe: Safe) -> None:
    """A token expires 90 days after it becomes valid, and the command says so; `--no-expiry` must be explicit."""
    made = run("token", "create", "--all-access", "--data", str(safe.path), cwd=safe.path.parent)
    later = token(safe, "create", "--all-access", "--not-before", "2999-01-01T00:00:00Z")
    never = token(safe, "create", "--all-access", "--no-expiry")
    ends = [listed["expires_on"] for listed in token(safe, "list")["tokens"]][1:]

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


def test_a_permission_can_be_limited_to_scripts(server: Server) -> None:
    """The token can set secrets of `billing-*` and nothing else."""
    caller = Caller(server, "--permission", "nightsafe secrets write", "--script", "billing-*")

    assert [caller.may_put(script) for script in ("billing-api", "billing-web", "shop")] == [True, True, False]
    assert (caller.may_read_code("billing-api"), caller.may_list()) == (False, False)


def test_permissions_and_scripts_add_up(server: Server) -> None:
    """Permissions and scripts add up; a permission can be named by its id."""
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
def test_denied_permissions_and_scripts_win(
    server: Server, flags: tuple[str, ...], puts: list[bool], reads_code: list[bool]
) -> None:
    """A denied permission or script overrides everything that is allowed."""
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
def test_conditions_limit_address_and_time(server: Server, flags: tuple[str, ...], *, passes: bool) -> None:
    """The token works only from the allowed addresses and within its time."""
    assert Caller(server, "--all-access", *flags).may_list() is passes


def test_tokens_verify_at_their_owners_endpoint(server: Server) -> None:
    """A user's token verifies at the user's endpoint, an account's token at the account's."""
    of_user = Caller(server, "--permission", "User Details Read")
    of_account = Caller(server, "--all-access", "--owner", "account")
    paths = ("/client/v4/user/tokens/verify", f"/client/v4/accounts/{ACCOUNT}/tokens/verify")

    for caller, path in zip((of_user, of_account), paths, strict=True):
        assert json.loads(caller.ask("GET", path).body)["result"]["id"] == caller.made["id"]
    assert of_account.ask("GET", paths[0]).refusal == (401, [1000])
    assert of_user.ask("GET", "/client/v4/user").result["email"] == server.safe.email


def test_list_shows_policies_but_no_values(safe: Safe) -> None:
    """Tokens are listed oldest first, with their policies and without their values."""
    made = token(safe, "create", "--name", "of-the-night", "--permission", "Workers Scripts Read", "--ip", "::1")
    account = token(safe, "create", "--all-access", "--owner", "account", "--expires-on", "2999-01-01T00:00:00Z")

    first, second, third = token(safe, "list")["tokens"]

    assert [listed["id"] for listed in (second, third)] == [made["id"], account["id"]]
    assert (first["name"], first["owner"]) == ("owner", f"user {safe.email}")
    assert (second["name"], second["status"], second["email"]) == ("of-the-night", "active", safe.email)
    assert second["policies"][0]["permission_groups"] == [{"id": "1a71c399035b4950a1bd1466bbe4f420"}]
    assert second["condition"] == {"request_ip": {"in": ["::1"]}}
    assert (third["owner"], third["expires_on"]) == (f"account {ACCOUNT}", "2999-01-01T00:00:00Z")
    assert token(safe, "list", "--account-id", ACCOUNT)["tokens"] == [first, second, third]


def test_token_list_as_text(safe: Safe) -> None:
    """Each token has a line, in which control characters are replaced."""
    token(safe, "create", "--all-access", "--name", "evil\x1b[2J\nname")

    done = run("token", "list", "--data", str(safe.path), cwd=safe.path.parent)

    head, first, second = done.stdout.splitlines()
    assert head.split() == ["id", "status", "owner", "expires_on", "name"]
    assert first.endswith("  owner")
    assert second.endswith("  evil?[2J?name")
    assert safe.api_token not in done.stdout


def test_a_rolled_token_has_a_new_value(server: Server) -> None:
    """The new value works at once, the old one no longer, and the permissions stay."""
    caller = Caller(server, "--permission", "Nightsafe Secrets Write", "--script", "shop")
    old = dict(caller.made)
    assert caller.may_put("shop")

    rolled = token(server.safe, "roll", old["id"], "--yes")

    assert not caller.may_put("shop")
    caller.made = rolled
    assert rolled["id"] == old["id"]
    assert rolled["api_token"] != old["api_token"]
    assert (caller.may_put("shop"), caller.may_put("billing-api")) == (True, False)


def test_a_revoked_token_is_refused(server: Server) -> None:
    """A revoked token is refused at the next request and is no longer listed."""
    caller = Caller(server, "--all-access")
    assert caller.may_list()

    assert token(server.safe, "revoke", caller.made["id"], "--yes") == {"id": caller.made["id"]}

    assert caller.ask("GET", SCRIPTS).refusal == REFUSED
    assert caller.made["id"] not in {listed["id"] for listed in token(server.safe, "list")["tokens"]}
    assert "no such token: " in refusal(server.safe, "revoke", caller.made["id"])


def test_roll_and_revoke_as_text(safe: Safe) -> None:
    """Without `--json` only the token is printed, or the id of a revoked one."""
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
def test_token_refusals_create_nothing(safe: Safe, arguments: tuple[str, ...], words: str) -> None:
    """One line on standard error names the bad argument and says what to do; nothing is created."""
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
def test_usage_errors_name_the_flag(safe: Safe, arguments: tuple[str, ...], words: str) -> None:
    """A usage error exits with 2 and names the flag."""
    assert words in refusal(safe, *arguments, code=2)


def test_the_audit_log_names_the_operator_but_no_token(safe: Safe) -> None:
    """Creating, rolling and revoking a token leave audit entries without the token."""
    made = token(safe, "create", "--all-access")
    rolled = token(safe, "roll", made["id"], "--yes")
    token(safe, "revoke", made["id"], "--yes")

    kept = b"".join(path.read_bytes() for path in safe.path.rglob("*") if path.is_file())
    for action in (b"tokens.create", b"tokens.roll", b"tokens.delete"):
        assert b'"action":"%b"' % action in kept
    assert b'"actor_kind":"operator"' in kept
    assert [answer for answer in (made, rolled) if answer["api_token"].encode() in kept] == []
