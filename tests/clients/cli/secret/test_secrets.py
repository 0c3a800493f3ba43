"""`nightsafe secret put`, `get`, `list` and `delete`, in a terminal and through pipes."""

import pytest
from tests.clients.cli.tools.user_environment import UserEnvironment
from tests.clients.wire.talk import SCRIPTS, Wire
from tests.server import ACCOUNT, run


def test_put_asks_without_echo(user: UserEnvironment) -> None:
    """In a terminal `put` asks for the value and does not echo it."""
    code, shown = user.at_terminal("secret", "put", "TOKEN", replies=[("Value of TOKEN:", "typed unseen")])

    assert (0, True) == (code, shown.endswith(f"Put TOKEN of {user.script}\n"))
    assert "typed" not in shown
    assert {"TOKEN": "typed unseen"} == user.values()


@pytest.mark.parametrize(
    ("given", "options", "kept"),
    [
        (b"value\n", (), "value"),
        (b"value\r\n\n", (), "value"),
        (b" a\nb \n", (), " a\nb "),
        (b"value\n", ("--exact",), "value\n"),
        (b"\n", ("--allow-empty",), ""),
        ("żółć\U0001f511".encode(), (), "żółć\U0001f511"),
        (b"x" * 5120 + b"\n", (), "x" * 5120),
    ],
)
def test_put_from_standard_input(user: UserEnvironment, given: bytes, options: tuple[str, ...], kept: str) -> None:
    """The value is the input without its final line breaks, or the exact input with `--exact`."""
    done = user.run("secret", "put", "TOKEN", *options, stdin=given)

    assert (0, "") == (done.returncode, done.stdout), done.stderr
    assert {"TOKEN": kept} == user.values()


def test_put_from_a_file(user: UserEnvironment) -> None:
    """The value is the file's content; in a terminal `put` asks nothing."""
    file = user.write("value.pem", "-----BEGIN\nmiddle\n-----END\n")

    code, _ = user.at_terminal("secret", "put", "PEM", "--from-file", file)

    assert (0, {"PEM": "-----BEGIN\nmiddle\n-----END"}) == (code, user.values())


@pytest.mark.parametrize(
    "arguments", [("TOKEN", "canary-value"), ("TOKEN=canary-value",), ("TOKEN", "a", "canary-value")]
)
def test_put_takes_no_value_as_an_argument(user: UserEnvironment, arguments: tuple[str, ...]) -> None:
    """A value as an argument is refused before anything is read or sent, and is not repeated."""
    words = user.refusal("secret", "put", *arguments, code=2, stdin=b"value")

    assert "a value is never an argument" in words
    assert "--from-file" in words
    assert "canary" not in words
    assert {} == user.values()


@pytest.mark.parametrize(
    ("given", "options", "words"),
    [
        (b"", (), "the value is empty; give --allow-empty"),
        (b"\n\n", (), "the value is empty"),
        (b"\xff\xfe", (), "the value is not UTF-8 text"),
        (b"x" * 5121, (), "over 5,120 bytes"),
        (b"x" * (1 << 20) + b"x", (), "over 1 MiB"),
        (b"x", ("--from-file", "absent"), "absent cannot be read: No such file or directory"),
        (b"x", ("--from-file", "."), "is a directory"),
        (b"x", ("--script", ".."), "this cannot be a name"),
    ],
)
def test_put_refuses_invalid_values(
    user: UserEnvironment, given: bytes, options: tuple[str, ...], words: str
) -> None:
    """Input that cannot be a value is refused with the reason, and nothing is put."""
    done = user.run("secret", "put", "TOKEN", *options, stdin=given)

    assert done.returncode in {1, 2}
    assert words in done.stderr
    assert {} == user.values()


def test_get_and_list_show_names_and_types(user: UserEnvironment) -> None:
    """`get` and `list` show names and metadata as a table or as JSON."""
    assert user.json("secret", "list") == {"script": user.script, "secrets": []}
    assert (0, f"{user.script} has no secrets\n") == user.at_terminal("secret", "list")
    user.run("secret", "put", "B", stdin=b"value")
    user.run("secret", "put", "A", stdin=b"value")

    code, shown = user.at_terminal("secret", "list")
    head, first, second = shown.splitlines()

    assert (0, ["name", "type", "modified_on", "modified_by", "key"]) == (code, head.split())
    assert (["A", "secret_text"], ["B", "secret_text"]) == (first.split()[:2], second.split()[:2])
    for found in (user.json("secret", "list")["secrets"][1], user.json("secret", "get", "B")):
        assert {"name": "B", "type": "secret_text"}.items() <= found.items()
    assert shown.splitlines()[0] == user.at_terminal("secret", "get", "A")[1].splitlines()[0]
    assert "[10056]" in user.refusal("secret", "get", "C", code=4)


def test_list_shows_when_and_by_whom_each_secret_was_set(user: UserEnvironment) -> None:
    """`list` shows the version that last set each secret and its author, as text and JSON."""
    user.run("secret", "put", "FIRST", stdin=b"value")
    user.run("secret", "key", "generate", "KEY", "--algorithm", "HMAC")
    with user.wire as wire:
        third = wire.put(user.script, "SECOND")
        assert wire.upload(user.script, keep_bindings=["secret_text", "secret_key"]).status == third.status == 200
    versions = {version["number"]: version for version in user.json("version", "list")["versions"]}

    found = {secret["name"]: secret for secret in user.json("secret", "list")["secrets"]}
    lines = user.run("secret", "list").stdout.splitlines()[1:]

    for number, name in ((2, "FIRST"), (3, "KEY"), (4, "SECOND")):
        version, secret = versions[number], found[name]
        assert (version["id"], user.server.safe.email) == (secret["version_id"], secret["modified_by"])
        assert (version["metadata"]["created_on"], "api") == (secret["modified_on"], secret["source"])
        told = (secret["modified_on"][:19], secret["modified_by"][:9])
        assert [True, True] == [part in next(line for line in lines if line.startswith(name)) for part in told]
    assert "HMAC" in lines[1]


def test_a_token_that_may_list_secrets_sees_who_set_them(user: UserEnvironment) -> None:
    """Another token is refused. The list that the official clients read is unchanged."""
    user.run("secret", "put", "A", stdin=b"value")
    at = ("--data", str(user.server.safe.path))
    made = run("token", "create", *at, "--permission", "Workers Tail Read", "--expires-in", "600", cwd=user.cwd)
    other = run("token", "create", *at, "--permission", "Memberships Read", "--expires-in", "600", cwd=user.cwd)
    path = f"/client/v4/accounts/{ACCOUNT}/nightsafe/scripts/{user.script}/secrets"

    statuses = []
    for done in (made, other):
        with Wire(user.server.port, [("Authorization", f"Bearer {done.stdout.strip()}")]) as wire:
            statuses.append(wire.ask("GET", path).status)
    with user.wire as wire:
        wanted = wire.ask("GET", f"{SCRIPTS}/{user.script}/secrets").result

    assert [200, 403] == statuses
    assert [{"name": "A", "type": "secret_text"}] == wanted


def test_delete_asks_in_a_terminal(user: UserEnvironment) -> None:
    """In a terminal `delete` asks and obeys the answer; `--yes` skips the question."""
    for name in ("A", "B", "C", "D"):
        user.run("secret", "put", name, stdin=b"value")

    refused, _ = user.at_terminal("secret", "delete", "A", replies=[("Delete A of", "n")])
    agreed, _ = user.at_terminal("secret", "delete", "A", replies=[("Delete A of", "y")])
    silent, _ = user.at_terminal("secret", "delete", "B", "--yes")

    assert (1, 0, 0) == (refused, agreed, silent)
    assert {"script": user.script, "deleted": ["C", "D"]} == user.json("secret", "delete", "C", "D", "--yes")
    assert {} == user.values()


def test_delete_is_all_or_nothing(user: UserEnvironment) -> None:
    """If one of several secrets is missing, none is deleted; a single missing one gets the API's error."""
    user.run("secret", "put", "A", stdin=b"value")

    assert "no secret B, C; nothing was deleted" in user.refusal("secret", "delete", "B", "A", "C", "--yes", code=4)
    assert "[10056]" in user.refusal("secret", "delete", "B", "--yes", code=4)
    assert {"A": "value"} == user.values()


def test_values_are_sealed_before_they_are_sent(user: UserEnvironment) -> None:
    """With `--seal require` the value is sent sealed and arrives unchanged."""
    done = user.run("secret", "put", "TOKEN", "--seal", "require", stdin=b"value")

    assert (0, {"TOKEN": "value"}) == (done.returncode, user.values()), done.stderr
