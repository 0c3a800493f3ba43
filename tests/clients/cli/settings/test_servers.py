"""Which server a command talks to, as whom, and what it says and ends with when that does not work."""

import json
import socket
from pathlib import Path

import pytest
from tests.clients.cli.tools.desk import Desk
from tests.clients.tokens import in_store
from tests.clients.wire.talk import Wire
from tests.server import ACCOUNT, Safe, Server, run

from nightsafe.store.sqlite import SqliteStore


def alone(desk: Desk, *without: str) -> Desk:
    """The same desk, but for some of its variables."""
    for name in without:
        desk.environ.pop(name)
    return desk


def test_every_way_to_name_a_server(desk: Desk) -> None:
    """By flag, by either variable, with or without the API's path; the flag first."""
    base_url = desk.environ.pop("CLOUDFLARE_BASE_URL")
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
        done = desk.run("script", "list", *options, stdin=b"", **environ)
        assert (0, True) == (done.returncode, desk.script in done.stdout), done.stderr


def test_the_server_of_the_data_directory(own_server: Server, tmp_path: Path) -> None:
    """Without a name it is the one that serves the directory, with the token kept there; once it ends, none."""
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
    assert ["worker"] == [one["id"] for one in json.loads(after.stdout)["scripts"]]
    own_server.kill()
    killed = run("script", "list", *at, cwd=folder)
    assert (1, True) == (killed.returncode, "no server serves" in killed.stderr)
    own_server.start()
    assert 0 == run("script", "list", *at, cwd=folder).returncode
    assert "there is no safe in" in run("script", "list", "--data", str(tmp_path / "none"), cwd=folder).stderr


def test_a_token_from_a_file(desk: Desk) -> None:
    """A file of mode 0600 stands in for the variable, and no other file does."""
    token = desk.environ.pop("CLOUDFLARE_API_TOKEN")
    file = desk.cwd / desk.write("token", f"{token}\n")
    ask = ("script", "list", "--token-file", str(file))

    assert "can be read by others; run: chmod 600" in desk.refusal(*ask, code=1)
    file.chmod(0o600)
    assert desk.script in desk.run(*ask).stdout
    file.write_text("two words\n")
    words = desk.refusal(*ask, code=1)
    assert "does not hold an API token" in words
    assert "two words" not in words
    assert "No such file" in desk.refusal("script", "list", "--token-file", "absent", code=1)


def test_a_token_that_was_named_goes_alone(desk: Desk) -> None:
    """Key and e-mail of the environment, which may be another server's, are not shown beside it nor in its place."""
    file = desk.cwd / desk.write("token", desk.environ.pop("CLOUDFLARE_API_TOKEN"))
    file.chmod(0o600)
    ask = ("script", "list", "--token-file", str(file))

    mail = {"CLOUDFLARE_EMAIL": "a@b.c"}
    pair = mail | {"CLOUDFLARE_API_KEY": "f" * 37}

    for environ in (mail, pair):
        assert 0 == desk.run(*ask, stdin=b"", **environ).returncode
    assert "the server does not know CLOUDFLARE_API_KEY, CLOUDFLARE_EMAIL or" in desk.refusal(
        "script", "list", code=3, stdin=b"", **pair
    )
    malformed = mail | {"CLOUDFLARE_API_KEY": "deadbeef"}
    assert "is malformed" in desk.refusal("script", "list", code=3, stdin=b"", **malformed)


def test_this_machine_is_asked_past_proxies(desk: Desk) -> None:
    """What is in the clear because it does not leave the machine is not sent to one."""
    done = desk.run("script", "list", HTTP_PROXY="http://127.0.0.1:9", http_proxy="http://127.0.0.1:9")

    assert 0 == done.returncode, done.stderr


def test_why_there_is_no_connection(desk: Desk) -> None:
    """A proxy that is none, and a server that speaks no TLS, are told apart from one that is not there."""
    url = desk.server.base_url.replace("http:", "https:")

    assert "TLS fails (" in desk.refusal("script", "list", "--url", url, code=6)
    assert "the proxy in the environment is not a proxy URL" in desk.refusal(
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
def test_urls_that_are_refused(desk: Desk, url: str, words: str) -> None:
    """Nothing is sent to what is no URL, nor in the clear to another machine."""
    said = desk.refusal("script", "list", "--url", url, code=1)

    assert words in said
    assert "pass" not in said.replace("password", "")


def test_nobody_there(desk: Desk) -> None:
    """A server that does not answer is named, with the way out."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    words = desk.refusal("script", "list", "--url", f"http://127.0.0.1:{port}", code=6)

    assert f"http://127.0.0.1:{port} cannot be reached; is the server running" in words


def test_codes(desk: Desk) -> None:
    """The exit code tells of which kind a refusal is, and stderr has the API's code and the way out."""
    assert "[10007]" in desk.refusal("secret", "list", "--script", "absent", code=4)
    assert "`nightsafe script list` shows the scripts" in desk.refusal("secret", "list", "--script", "absent", code=4)
    assert "[10000]" in desk.refusal("secret", "list", "--account", "f" * 32, code=3)
    assert "`nightsafe whoami`" in desk.refusal("secret", "list", "--account", "f" * 32, code=3)
    assert "give 32 lower-case hex digits" in desk.refusal("secret", "list", "--account", "x", code=2)
    wrong = desk.refusal("script", "list", code=3, CLOUDFLARE_API_TOKEN="nst_" + "x" * 43)
    assert "the token is unknown to the server, expired or revoked" in wrong
    assert 2 == desk.run("secret", "list", "--no-such-option").returncode
    assert "no credentials found" in alone(desk, "CLOUDFLARE_API_TOKEN").refusal("script", "list", code=3)


def test_which_account(own_server: Server, tmp_path: Path) -> None:
    """The only account is taken; of several one must be named, and they are."""
    with Wire.to(own_server) as wire:
        wire.upload("worker")
    desk = Desk(own_server, "worker", tmp_path)
    assert 0 == desk.run("secret", "list").returncode

    folder = own_server.safe.path.parent
    made = run(
        *("account", "create", "--data", str(own_server.safe.path)),
        *("--email", own_server.safe.email, "--name", "Second", "--json"),
        cwd=folder,
    )
    other = json.loads(made.stdout)["account_id"]
    environ = {"CLOUDFLARE_EMAIL": own_server.safe.email, "CLOUDFLARE_API_KEY": own_server.safe.api_key}
    alone(desk, "CLOUDFLARE_API_TOKEN").environ |= environ

    words = desk.refusal("secret", "list", code=1)
    assert f"{other} (Second)" in words
    assert "[10007]" in desk.refusal("secret", "list", "--account", other, code=4)
    assert 0 == desk.run("secret", "list", CLOUDFLARE_ACCOUNT_ID=ACCOUNT).returncode


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("wrangler.toml", 'name = "{}"\nmain = "x.js"\n'),
        ("wrangler.json", '{{"name": "{}"}}'),
        ("wrangler.jsonc", '// a comment\n{{"main": "a//b.js", /* no */ "name": "{}",}}'),
    ],
)
def test_the_script_of_the_configuration(desk: Desk, file: str, content: str) -> None:
    """Where a wrangler configuration lies, its script is meant; the flag goes before it."""
    alone(desk, "NIGHTSAFE_SCRIPT")
    assert "no script is named; give --script" in desk.refusal("secret", "list", code=1)

    desk.write(file, content.format(desk.script))

    assert {"script": desk.script, "secrets": []} == desk.json("secret", "list")
    assert "[10007]" in desk.refusal("secret", "list", "--script", "another", code=4)


def test_settings_from_the_file(desk: Desk) -> None:
    """A file that is named says where and who, and never what to do."""
    url = desk.environ.pop("CLOUDFLARE_BASE_URL")
    script = desk.environ.pop("NIGHTSAFE_SCRIPT")
    desk.write("nightsafe.toml", f'url = "{url}"\nscript = "{script}"\naccount_id = "{ACCOUNT}"\nname = "ignored"\n')
    desk.environ["NIGHTSAFE_CONFIG"] = "nightsafe.toml"
    desk.run("secret", "put", "A", stdin=b"value")

    assert ["A"] == [one["name"] for one in desk.json("secret", "list")["secrets"]]
    desk.write("nightsafe.toml", "force = true\n")
    assert "unknown settings: force" in desk.refusal("secret", "list", code=1)


def test_colour_is_for_terminals(desk: Desk) -> None:
    """A terminal gets colours, unless NO_COLOR is set; a pipe gets none."""
    file = desk.write("f", "A=1\n")
    with desk.terminal("secret", "diff", file) as coloured:
        assert 7 == coloured.end()
    desk.environ["NO_COLOR"] = "1"
    with desk.terminal("secret", "diff", file) as bare:
        assert 7 == bare.end()

    assert "\x1b[32mnew" in coloured.shown
    assert "\x1b" not in bare.shown
    assert "\x1b" not in desk.run("secret", "diff", file).stdout


def test_a_hostile_name_does_nothing_to_the_terminal(desk: Desk) -> None:
    """What a terminal would obey is shown as `?`."""
    with desk.wire as wire:
        assert wire.put(desk.script, "evil\x1b[2J\nname", "x").status == 200

    code, shown = desk.at_terminal("secret", "list")

    assert (0, True) == (code, "evil?[2J?name" in shown)


def test_tokens_are_made_by_who_has_the_directory(safe: Safe) -> None:
    """`--keep` writes a token that works and prints only its id."""
    done = run("token", "create", "--keep", "--all-access", "--json", "--data", str(safe.path), cwd=safe.path.parent)
    made = json.loads(done.stdout)

    async def ids(store: SqliteStore) -> list[str]:
        """Every token's."""
        return [one.id for one in await store.tokens_of_user((await store.members(ACCOUNT))[0].user_id)]

    assert {"account_id", "expires_on", "id"} == made.keys()
    assert made["id"] in in_store(safe, ids)
