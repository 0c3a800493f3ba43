"""`nightsafe secret bulk`, `import`, `diff` and `apply`: a script's secrets from a file."""

import json
from typing import Any

import pytest
from tests.clients.cli.tools.user_environment import UserEnvironment
from tests.clients.wire.talk import SCRIPTS

MULTI_LINE = """PLAIN=one
PEM="-----BEGIN
middle # no comment
-----END"
ESCAPED="a\\nb"
# a comment
export LAST = 'x y' # end
"""
PARSED = {
    "PLAIN": "one",
    "PEM": "-----BEGIN\nmiddle # no comment\n-----END",
    "ESCAPED": "a\nb",
    "LAST": "x y",
}


def states(user: UserEnvironment, file: str, *options: str, code: int = 7) -> dict[str, str]:
    """Return the state that `diff` shows for each secret."""
    found = user.json("secret", "diff", file, *options, code=code)
    assert found["differs"] == (code == 7)
    return {secret["name"]: secret["state"] for secret in found["secrets"]}


def put_with_another_client(user: UserEnvironment, name: str, value: str) -> None:
    """Put a secret with another client."""
    with user.wire as wire:
        assert wire.put(user.script, name, value).status == 200


@pytest.mark.parametrize("command", ["bulk", "import", "apply"])
@pytest.mark.parametrize("by", ["file", "standard input"])
@pytest.mark.parametrize("form", ["json", "env"])
def test_a_file_becomes_secrets_in_one_version(user: UserEnvironment, command: str, by: str, form: str) -> None:
    """JSON or `.env` with values of several lines, from a file or standard input, becomes one version."""
    content = json.dumps(PARSED) if form == "json" else MULTI_LINE
    before = user.version_number()

    if by == "file":
        code, _ = user.at_terminal("secret", command, user.write("secrets", content))
    else:
        code = user.run("secret", command, "-", stdin=content.encode()).returncode

    assert (0, PARSED, before + 1) == (code, user.values(), user.version_number())


def test_bulk_deletes_by_null(user: UserEnvironment) -> None:
    """A null deletes an existing secret and ignores others; a secret in the API's own form is accepted."""
    user.run("secret", "put", "OLD", stdin=b"value")
    key = {
        "type": "secret_key",
        "format": "raw",
        "algorithm": {"name": "HMAC", "hash": "SHA-256"},
        "usages": ["sign"],
    }
    content = {"OLD": None, "NEVER": None, "NEW": "x", "KEY": key | {"key_base64": "c2VjcmV0IGtleSBieXRlcw=="}}

    said = user.json("secret", "bulk", "-", "--yes", stdin=json.dumps(content).encode())

    assert {"script": user.script, "put": ["NEW", "KEY"], "deleted": ["OLD", "NEVER"]} == said
    assert ["KEY", "NEW"] == [secret["name"] for secret in user.json("secret", "list")["secrets"]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"A": "x", "B": "' + "x" * 5121 + '"}', "'B' is over 5,120 bytes; nothing was sent"),
        ('{"A": "x", "B": 1}', "'B' must be a string, null, or an object"),
        ('{"A": "x", "A": "y"}', "'A' occurs twice; remove one of the two"),
        ('{"": "x"}', "a secret has no name"),
        ('{"A": {"type": "secret_text", "text": "x", "more": 1}}', "unknown members: more"),
        ('{"A": {"type": "secret_text"}}', "'A' has no 'text'"),
        ('["A"]', "give a JSON object of names and values"),
        ('{"A": "\\ud800"}', "'A' is not Unicode text"),
        ('{"A": "x",\n}', "begins like JSON but is invalid at line 2, column 1; nothing was sent"),
        ('{A: "x"}', "begins like JSON but is invalid"),
        ('{"A": {"type": "secret_key", "usages": 5}}', "'A' has 'usages' that are not an array of strings"),
        ('{"A": {"type": "secret_key", "usages": [{}]}}', "'A' has 'usages' that are not an array of strings"),
        ("", "declares nothing"),
        ("# only a comment\n", "declares nothing"),
        (
            json.dumps({f"S{n}": "x" for n in range(101)}),
            "101 changes, but one version takes at most 100; nothing was sent",
        ),
    ],
)
def test_bulk_refuses_a_file_with_any_invalid_entry(user: UserEnvironment, content: str, words: str) -> None:
    """One invalid entry refuses the whole file; the message names it."""
    assert words in user.refusal("secret", "bulk", user.write("secrets", content), code=1)
    assert {} == user.values()


@pytest.mark.parametrize("value", ["A=canary", '{"A": "canary"}'])
@pytest.mark.parametrize("command", ["bulk", "import", "diff", "apply"])
def test_a_value_in_place_of_a_file_is_not_repeated(user: UserEnvironment, command: str, value: str) -> None:
    """The refusal explains that a value is never an argument, and does not repeat it."""
    words = user.refusal("secret", command, value, code=1)

    assert "a value is never an argument" in words
    assert "canary" not in words


def test_suspicious_lines_are_reported(user: UserEnvironment) -> None:
    """Duplicate names, unclosed quotes and lines without an assignment are reported by number, without values."""
    file = user.write(".env", "A=canary1\nA=canary2\nB='canary3\nwhat is this\n")

    done = user.run("secret", "bulk", file)

    assert 0 == done.returncode
    assert ".env:2: A occurs twice; the last one counts" in done.stderr
    assert ".env:3: B begins with an unclosed quote" in done.stderr
    assert ".env:4: not an assignment; ignored" in done.stderr
    assert "canary" not in done.stderr
    assert {"A": "canary2", "B": "'canary3"} == user.values()


def test_import_keeps_existing_secrets(user: UserEnvironment) -> None:
    """`import` keeps existing secrets without `--overwrite`; a glob selects names; a dry run sends nothing."""
    user.run("secret", "put", "A", stdin=b"old")
    file = user.write(".dev.vars", "A=new\nB=new\nC=new\n")

    dry = user.json("secret", "import", file, "--dry-run", "--only", "[AB]")
    assert ({"A": "old"}, ["B"], ["A"]) == (user.values(), dry["put"], dry["kept"])
    code, shown = user.at_terminal("secret", "import", file, "--only", "[AB]")
    assert (0, {"A": "old", "B": "new"}) == (code, user.values())
    assert "Kept the existing A; --overwrite replaces it" in shown
    user.json("secret", "import", file, "--overwrite")
    assert {"A": "new", "B": "new", "C": "new"} == user.values()


def test_import_of_many_secrets_takes_two_versions(user: UserEnvironment) -> None:
    """More than a hundred secrets are written in two versions; in a terminal there is a progress bar."""
    many = {f"SECRET_{number:03}": str(number) for number in range(120)}
    before = user.version_number()

    code, shown = user.at_terminal("secret", "import", user.write("many.json", json.dumps(many)))

    assert (0, many, before + 2) == (code, user.values(), user.version_number())
    assert "Writing" in shown
    assert "100%" in shown


def test_diff_compares_fingerprints(user: UserEnvironment) -> None:
    """`diff` recognises values that were put from here; a value that another client put is unknown."""
    user.run("secret", "bulk", "-", stdin=b"SAME=1\nCHANGED=1\nOTHERS=1\nEXTRA=1\n")
    put_with_another_client(user, "OTHERS", "1")
    file = user.write("secrets.env", "SAME=1\nCHANGED=2\nOTHERS=1\nNEW=1\n")

    found = states(user, file)

    assert {"SAME": "same", "CHANGED": "changed", "OTHERS": "unknown", "NEW": "new", "EXTRA": "extra"} == found
    code, shown = user.at_terminal("secret", "diff", file)
    assert (7, ["CHANGED", "changed", "another", "value"]) == (code, shown.splitlines()[1].split())


def test_diff_exits_with_0_without_differences(user: UserEnvironment) -> None:
    """`diff` exits with 0 if nothing differs; secrets outside the file count only with `--prune`."""
    user.run("secret", "bulk", "-", stdin=b"A=1\nB=1\n")
    file = user.write("secrets.env", "A=1\n")

    assert {"A": "same", "B": "extra"} == states(user, file, code=0)
    assert {"A": "same", "B": "extra"} == states(user, file, "--prune", code=7)
    assert (0, True) == (
        user.at_terminal("secret", "diff", file)[0],
        f"{user.script} matches " in user.at_terminal("secret", "diff", file)[1],
    )


def test_fingerprints_survive_deploys_and_need_the_same_key(user: UserEnvironment) -> None:
    """A deploy that keeps secrets keeps their fingerprints; only the key that made these can verify them."""
    user.run("secret", "bulk", "-", stdin=b"A=1\n")
    file = user.write("secrets.env", "A=1\n")
    with user.wire as wire:
        assert wire.upload(user.script, keep_bindings=["secret_text", "secret_key"]).status == 200
    assert {"A": "same"} == states(user, file, code=0)

    key = user.home / ".config" / "nightsafe" / "fingerprint-key"
    assert 0o600 == key.stat().st_mode & 0o777
    shared = user.cwd / "team-key"
    key.rename(shared)

    assert {"A": "unknown"} == states(user, file)
    assert {"A": "same"} == states(user, file, "--fingerprint-key-file", str(shared), code=0)
    shared.chmod(0o644)
    words = user.refusal("secret", "diff", file, "--fingerprint-key-file", str(shared), code=1)
    assert "can be read by others; run: chmod 600" in words


def test_a_secret_without_a_fingerprint_is_unknown(user: UserEnvironment) -> None:
    """A secret without a fingerprint is unknown, and a change of type is a change."""
    user.run("secret", "put", "A", "--no-fingerprint", stdin=b"1")
    user.run("secret", "put", "B", stdin=b"1")

    assert {"A": "unknown", "B": "same"} == states(user, user.write("f", '{"A": "1", "B": "1"}'))
    key: dict[str, Any] = {
        "type": "secret_key",
        "format": "raw",
        "algorithm": {"name": "HKDF"},
        "usages": ["deriveKey"],
    }
    changed = json.dumps({"B": key | {"key_base64": "MQ=="}})
    assert {"A": "extra", "B": "changed"} == states(user, user.write("f", changed))


def test_fingerprints_reveal_no_name_or_equal_values(user: UserEnvironment) -> None:
    """The same value under two names, or put twice, never has equal fingerprints; they contain no name or value."""
    user.run("secret", "bulk", "-", stdin=b"FIRST_NAME=canary\nSECOND_NAME=canary\n")
    user.run("secret", "bulk", "-", stdin=b"FIRST_NAME=canary\n")

    with user.wire as wire:
        tags = [
            version.get("version_tags", {})
            for version in wire.ask("GET", f"{SCRIPTS}/{user.script}/versions").result["items"]
        ]

    kept = [tag["nightsafe/fingerprints"] for tag in tags if tag]
    every = [fingerprint for tag in kept for fingerprint in tag.split(".")[3].split(",")]
    assert (2, 3, 3) == (len(kept), len(every), len(set(every)))
    assert "NAME" not in str(kept)
    assert "canary" not in str(kept)


def test_apply_with_prune_makes_exactly_this_set(user: UserEnvironment) -> None:
    """One version sets new, changed and unknown secrets and deletes extra ones; a second run does nothing."""
    user.run("secret", "bulk", "-", stdin=b"SAME=1\nCHANGED=1\nEXTRA=1\n")
    put_with_another_client(user, "OTHERS", "9")
    file = user.write("secrets.env", "SAME=1\nCHANGED=2\nOTHERS=1\nNEW=1\n")
    before = user.version_number()

    dry = user.run("secret", "apply", file, "--prune", "--dry-run")
    assert (0, before) == (dry.returncode, user.version_number())
    assert "3 put, 1 deleted" in dry.stderr
    assert "(dry run)" in dry.stderr
    code, shown = user.at_terminal("secret", "apply", file, "--prune", replies=[("Delete EXTRA of", "y")])

    assert (0, before + 1) == (code, user.version_number())
    assert f"{user.script}: 3 put, 1 deleted" in shown
    assert {"SAME": "1", "CHANGED": "2", "OTHERS": "1", "NEW": "1"} == user.values()
    assert {"differs": False, "applied": False} == {
        name: field
        for name, field in user.json("secret", "apply", file, "--prune").items()
        if name in {"differs", "applied"}
    }
    assert before + 1 == user.version_number()


def test_apply_without_prune_keeps_the_rest(user: UserEnvironment) -> None:
    """Without `--prune` only a null in the file deletes a secret; the answer "n" changes nothing."""
    user.run("secret", "bulk", "-", stdin=b"A=1\nB=1\nC=1\n")
    file = user.write("secrets.json", '{"A": "2", "B": null}')

    refused, _ = user.at_terminal("secret", "apply", file, replies=[("Delete B of", "n")])
    assert (1, {"A": "1", "B": "1", "C": "1"}) == (refused, user.values())
    user.json("secret", "apply", file, "--yes")
    assert {"A": "2", "C": "1"} == user.values()


def test_apply_is_all_or_nothing(user: UserEnvironment) -> None:
    """If the server refuses one secret, none is put, and the message names it."""
    with user.wire as wire:
        wire.upload(user.script, {"type": "plain_text", "name": "VAR", "text": "x"})

    words = user.refusal("secret", "bulk", user.write("f", "A=1\nVAR=2\n"), code=5)

    assert "[10053]" in words
    assert "VAR" in words
    assert {} == user.values()


def test_apply_everything_puts_unchanged_secrets(user: UserEnvironment) -> None:
    """`--everything` also puts unchanged secrets: a new version with the same values."""
    user.run("secret", "bulk", "-", stdin=b"A=1\n")
    before = user.version_number()

    user.json("secret", "apply", user.write("f", "A=1\n"), "--everything")

    assert (before + 1, {"A": "1"}) == (user.version_number(), user.values())
