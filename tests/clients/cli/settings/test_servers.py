"""The server, account and credentials that a command uses, and its messages and exit codes when they do not work."""

import json
import socket
from pathlib import Path

import pytest
from tests.clients.cli.tools.user_environment import UserEnvironment
from tests.clients.tokens import in_store
from tests.clients.wire.talk import Wire
from tests.server import ACCOUNT, Safe, Server, run

from nightsafe.store.interface import Store


def without_variables(user: UserEnvironment, *names: str) -> UserEnvironment:
    """Remove some variables from a user's environment; return the user."""
    for name in names:
        user.environ.pop(name)
    return user


def test_flags_and_variables_name_the_server(user: UserEnvironment) -> None:
    """A flag or either variable names the server, with or without the API's path; the flag wins."""
    base_url = user.environ.pop("CLOUDFLARE_BASE_URL")
    root = base_url.removesuffix("/client/v4")
    nowhere = "http://127.0.0.1:9/client/v4"

    ways: list[tuple[tuple[str, ...], dict[str, str]]] = [
        (("--url", base_url), {}),
        (("--url", root), {"NIGHTSAFE_URL": nowhere}),
        ((), {"NIGHTSAFE_URL": f"{root}/", "CLOUDFLARE_BASE_URL": nowhere}),
        ((), {"CLOUDFLARE_BASE_URL": base_url, "CLOUDFLARE_API_BASE_URL": nowhere}),
        ((), {"CLOUDFLARE_API_BASE_URL": base_url}),
    ]
    for options, environ in ways:
        done = user.run("script", "list", *options, stdin=b"", **environ)
        assert (0, True) == (done.returncode, user.script in done.stdout), done.stderr


def test_the_data_directorys_server_is_the_default(own_server: Server, tmp_path: Path) -> None:
    """Without a URL the command uses the server of the data directory and the token that is kept there."""
    folder = own_server.safe.path.parent
    with Wire.to(own_server) as wire:
        wire.upload("worker")
    at = ("--data", str(own_server.safe.path))

    before = run("script", "list", *at, cwd=folder)
    kept = run("token", "create", "--keep", *at, "--permission", "Workers Scripts Read", cwd=folder)
    after = run("script", "list", *at, "--json", cwd=folder)

    assert (3, True) == (before.returncode, "nightsafe token create --keep" in before.stderr)
    assert (0, 0o600) == (kept.returncode, (own_server.safe.path / "token").stat().st_mode & 0o777)
    assert (own_server.safe.path / "token").read_text().strip() not in kept.stdout
    assert ["worker"] == [script["id"] for script in json.loads(after.stdout)["scripts"]]
    own_server.kill()
    killed = run("script", "list", *at, cwd=folder)
    assert (1, True) == (killed.returncode, "no server serves" in killed.stderr)
    own_server.start()
    assert 0 == run("script", "list", *at, cwd=folder).returncode
    assert "there is no safe in" in run("script", "list", "--data", str(tmp_path / "none"), cwd=folder).stderr


def test_token_file_needs_mode_0600(user: UserEnvironment) -> None:
    """`--token-file` replaces the variable; the file must have mode 0600 and contain one token."""
    token = user.environ.pop("CLOUDFLARE_API_TOKEN")
    file = user.cwd / user.write("token", f"{token}\n")
    ask = ("script", "list", "--token-file", str(file))

    assert "can be read by others; run: chmod 600" in user.refusal(*ask, code=1)
    file.chmod(0o600)
    assert user.script in user.run(*ask).stdout
    file.write_text("two words\n")
    words = user.refusal(*ask, code=1)
    assert "does not hold an API token" in words
    assert "two words" not in words
    assert "No such file" in user.refusal("script", "list", "--token-file", "absent", code=1)


def test_with_a_token_file_no_other_credential_is_sent(user: UserEnvironment) -> None:
    """With `--token-file`, the key and e-mail in the environment, perhaps for another server, are not sent."""
    file = user.cwd / user.write("token", user.environ.pop("CLOUDFLARE_API_TOKEN"))
    file.chmod(0o600)
    ask = ("script", "list", "--token-file", str(file))

    mail = {"CLOUDFLARE_EMAIL": "a@b.c"}
    pair = mail | {"CLOUDFLARE_API_KEY": "f" * 37}

    for environ in (mail, pair):
        assert 0 == user.run(*ask, stdin=b"", **environ).returncode
    assert "the server does not know CLOUDFLARE_API_KEY, CLOUDFLARE_EMAIL or" in user.refusal(
        "script", "list", code=3, stdin=b"", **pair
    )
    malformed = mail | {"CLOUDFLARE_API_KEY": "deadbeef"}
    assert "is malformed" in user.refusal("script", "list", code=3, stdin=b"", **malformed)


def test_requests_to_this_machine_ignore_proxies(user: UserEnvironment) -> None:
    """Requests to this machine ignore proxies, since they are not encrypted."""
    done = user.run("script", "list", HTTP_PROXY="http://127.0.0.1:9", http_proxy="http://127.0.0.1:9")

    assert 0 == done.returncode, done.stderr


def test_connection_errors_name_their_cause(user: UserEnvironment) -> None:
    """An invalid proxy and a server without TLS have messages of their own."""
    url = user.server.base_url.replace("http:", "https:")

    assert "TLS fails (" in user.refusal("script", "list", "--url", url, code=6)
    assert "the proxy in the environment is not a proxy URL" in user.refusal(
        "script", "list", "--url", "https://host.invalid", code=6, HTTPS_PROXY="garbage:x"
    )


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://host", "the server's URL must have the form https://host/client/v4"),
        ("https://user:pass@host/", "without a user"),
        ("https://", "must have the form"),
        ("http://[::1", "must have the form"),
        ("http://example.com/client/v4", "would cross the network unencrypted; use https, or give --plain-http"),
    ],
)
def test_invalid_or_insecure_urls_are_refused(user: UserEnvironment, url: str, words: str) -> None:
    """An invalid URL, or plain HTTP to another machine, is refused before anything is sent."""
    said = user.refusal("script", "list", "--url", url, code=1)

    assert words in said
    assert "pass" not in said.replace("password", "")


def test_an_unreachable_server_is_named(user: UserEnvironment) -> None:
    """A server that does not answer is named, with advice."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    words = user.refusal("script", "list", "--url", f"http://127.0.0.1:{port}", code=6)

    assert f"http://127.0.0.1:{port} cannot be reached; is the server running" in words


def test_exit_codes_tell_kinds_of_refusals_apart(user: UserEnvironment) -> None:
    """Each kind of refusal has its exit code; standard error has the API's code and advice."""
    assert "[10007]" in user.refusal("secret", "list", "--script", "absent", code=4)
    assert "`nightsafe script list` shows the scripts" in user.refusal("secret", "list", "--script", "absent", code=4)
    assert "[10000]" in user.refusal("secret", "list", "--account", "f" * 32, code=3)
    assert "`nightsafe whoami`" in user.refusal("secret", "list", "--account", "f" * 32, code=3)
    assert "give 32 lower-case hex digits" in user.refusal("secret", "list", "--account", "x", code=2)
    wrong = user.refusal("script", "list", code=3, CLOUDFLARE_API_TOKEN="nst_" + "x" * 43)
    assert "the token is unknown to the server, expired or revoked" in wrong
    assert 2 == user.run("secret", "list", "--no-such-option").returncode
    assert "no credentials found" in without_variables(user, "CLOUDFLARE_API_TOKEN").refusal("script", "list", code=3)


def test_with_several_accounts_one_must_be_named(own_server: Server, tmp_path: Path) -> None:
    """The only account is the default; with several accounts the message lists them and one must be named."""
    with Wire.to(own_server) as wire:
        wire.upload("worker")
    user = UserEnvironment(own_server, "worker", tmp_path)
    assert 0 == user.run("secret", "list").returncode

    folder = own_server.safe.path.parent
    made = run(
        *("account", "create", "--data", str(own_server.safe.path)),
        *("--email", own_server.safe.email, "--name", "Second", "--json"),
        cwd=folder,
    )
    other = json.loads(made.stdout)["account_id"]
    environ = {"CLOUDFLARE_EMAIL": own_server.safe.email, "CLOUDFLARE_API_KEY": own_server.safe.api_key}
    without_variables(user, "CLOUDFLARE_API_TOKEN").environ |= environ

    words = user.refusal("secret", "list", code=1)
    assert f"{other} (Second)" in words
    assert "[10007]" in user.refusal("secret", "list", "--account", other, code=4)
    assert 0 == user.run("secret", "list", CLOUDFLARE_ACCOUNT_ID=ACCOUNT).returncode


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("wrangler.toml", 'name = "{}"\nmain = "x.js"\n'),
        ("wrangler.json", '{{"name": "{}"}}'),
        ("wrangler.jsonc", '// a comment\n{{"main": "a//b.js", /* no */ "name": "{}",}}'),
    ],
)
def test_the_script_comes_from_a_wrangler_configuration(user: UserEnvironment, file: str, content: str) -> None:
    """The script's name comes from a wrangler configuration in the directory; `--script` overrides it."""
    without_variables(user, "NIGHTSAFE_SCRIPT")
    assert "no script is named; give --script" in user.refusal("secret", "list", code=1)

    user.write(file, content.format(user.script))

    assert {"script": user.script, "secrets": []} == user.json("secret", "list")
    assert "[10007]" in user.refusal("secret", "list", "--script", "another", code=4)


def test_a_settings_file_may_name_server_and_script_only(user: UserEnvironment) -> None:
    """A named settings file may set server, account and script, but no option such as `--force`."""
    url = user.environ.pop("CLOUDFLARE_BASE_URL")
    script = user.environ.pop("NIGHTSAFE_SCRIPT")
    user.write("nightsafe.toml", f'url = "{url}"\nscript = "{script}"\naccount_id = "{ACCOUNT}"\nname = "ignored"\n')
    user.environ["NIGHTSAFE_CONFIG"] = "nightsafe.toml"
    user.run("secret", "put", "A", stdin=b"value")

    assert ["A"] == [secret["name"] for secret in user.json("secret", "list")["secrets"]]
    user.write("nightsafe.toml", "force = true\n")
    assert "unknown settings: force" in user.refusal("secret", "list", code=1)


def test_only_terminals_get_colours(user: UserEnvironment) -> None:
    """A terminal gets colours, unless `NO_COLOR` is set; a pipe gets none."""
    file = user.write("f", "A=1\n")
    with user.terminal("secret", "diff", file) as coloured:
        assert 7 == coloured.end()
    user.environ["NO_COLOR"] = "1"
    with user.terminal("secret", "diff", file) as bare:
        assert 7 == bare.end()

    assert "\x1b[32mnew" in coloured.shown
    assert "\x1b" not in bare.shown
    assert "\x1b" not in user.run("secret", "diff", file).stdout


def test_control_characters_in_names_are_replaced(user: UserEnvironment) -> None:
    """Control characters are shown as `?`."""
    with user.wire as wire:
        assert wire.put(user.script, "evil\x1b[2J\nname", "x").status == 200

    code, shown = user.at_terminal("secret", "list")

    assert (0, True) == (code, "evil?[2J?name" in shown)


def test_keep_stores_the_token_and_prints_only_its_id(safe: Safe) -> None:
    """`--keep` stores a working token in the data directory and prints only its id."""
    done = run("token", "create", "--keep", "--all-access", "--json", "--data", str(safe.path), cwd=safe.path.parent)
    made = json.loads(done.stdout)

    async def ids(store: Store) -> list[str]:
        """Return the id of every token."""
        return [token.id for token in await store.tokens_of_user((await store.members(ACCOUNT))[0].user_id)]

    assert {"account_id", "expires_on", "id"} == made.keys()
    assert made["id"] in in_store(safe, ids)
