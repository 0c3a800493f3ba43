"""`nightsafe secret bulk`, `import`, `diff` and `apply`: a script's secrets from a file."""

import json
from typing import Any

import pytest
from tests.clients.cli.tools.desk import Desk
from tests.clients.opened import opened
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


def values(desk: Desk) -> dict[str, str]:
    """What the script would get."""
    return opened(desk.server.safe, desk.script)


def versions(desk: Desk) -> int:
    """How many versions the script has."""
    with desk.wire as wire:
        return int(wire.ask("GET", f"{SCRIPTS}/{desk.script}/versions").result["items"][0]["number"])


def states(desk: Desk, file: str, *options: str, code: int = 7) -> dict[str, str]:
    """What `diff` says of each secret."""
    found = desk.json("secret", "diff", file, *options, code=code)
    assert found["differs"] == (code == 7)
    return {one["name"]: one["state"] for one in found["secrets"]}


def put_by_another(desk: Desk, name: str, value: str) -> None:
    """Somebody puts a secret with another client."""
    with desk.wire as wire:
        assert wire.put(desk.script, name, value).status == 200


@pytest.mark.parametrize("command", ["bulk", "import", "apply"])
@pytest.mark.parametrize("by", ["file", "standard input"])
@pytest.mark.parametrize("form", ["json", "env"])
def test_a_file_becomes_secrets_in_one_version(desk: Desk, command: str, by: str, form: str) -> None:
    """JSON or `.env` with values of several lines, from a file or standard input, arrives whole, as one version."""
    content = json.dumps(PARSED) if form == "json" else MULTI_LINE
    before = versions(desk)

    if by == "file":
        code, _ = desk.at_terminal("secret", command, desk.write("secrets", content))
    else:
        code = desk.run("secret", command, "-", stdin=content.encode()).returncode

    assert (0, PARSED, before + 1) == (code, values(desk), versions(desk))


def test_bulk_deletes_by_null(desk: Desk) -> None:
    """A null deletes what is there and passes over what is not; a secret as the API has it is taken as it is."""
    desk.run("secret", "put", "OLD", stdin=b"value")
    key = {
        "type": "secret_key",
        "format": "raw",
        "algorithm": {"name": "HMAC", "hash": "SHA-256"},
        "usages": ["sign"],
    }
    content = {"OLD": None, "NEVER": None, "NEW": "x", "KEY": key | {"key_base64": "c2VjcmV0IGtleSBieXRlcw=="}}

    said = desk.json("secret", "bulk", "-", "--yes", stdin=json.dumps(content).encode())

    assert {"script": desk.script, "put": ["NEW", "KEY"], "deleted": ["OLD", "NEVER"]} == said
    assert ["KEY", "NEW"] == [one["name"] for one in desk.json("secret", "list")["secrets"]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"A": "x", "B": "' + "x" * 5121 + '"}', "'B' is over 5,120 bytes; nothing was sent"),
        ('{"A": "x", "B": 1}', "'B' must be a string, null, or an object"),
        ('{"A": "x", "A": "y"}', "'A' occurs twice"),
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
def test_bulk_refuses_as_a_whole(desk: Desk, content: str, words: str) -> None:
    """What cannot be is named, and nothing else is put either."""
    assert words in desk.refusal("secret", "bulk", desk.write("secrets", content), code=1)
    assert {} == values(desk)


@pytest.mark.parametrize("value", ["A=canary", '{"A": "canary"}'])
@pytest.mark.parametrize("command", ["bulk", "import", "diff", "apply"])
def test_a_value_in_place_of_a_file_is_not_repeated(desk: Desk, command: str, value: str) -> None:
    """It is told what to do instead."""
    words = desk.refusal("secret", command, value, code=1)

    assert "a value is never an argument" in words
    assert "canary" not in words


def test_what_is_probably_not_meant_is_told(desk: Desk) -> None:
    """A name twice, a quote that nothing closes and a line that is no assignment are told by line, without values."""
    file = desk.write(".env", "A=canary1\nA=canary2\nB='canary3\nwhat is this\n")

    done = desk.run("secret", "bulk", file)

    assert 0 == done.returncode
    assert ".env:2: A occurs twice; the last one counts" in done.stderr
    assert ".env:3: B begins with an unclosed quote" in done.stderr
    assert ".env:4: not an assignment; ignored" in done.stderr
    assert "canary" not in done.stderr
    assert {"A": "canary2", "B": "'canary3"} == values(desk)


def test_import_keeps_what_is_there(desk: Desk) -> None:
    """Secrets that are there stay unless they are to be replaced; a glob chooses; a dry run sends nothing."""
    desk.run("secret", "put", "A", stdin=b"old")
    file = desk.write(".dev.vars", "A=new\nB=new\nC=new\n")

    dry = desk.json("secret", "import", file, "--dry-run", "--only", "[AB]")
    assert ({"A": "old"}, ["B"], ["A"]) == (values(desk), dry["put"], dry["kept"])
    code, shown = desk.at_terminal("secret", "import", file, "--only", "[AB]")
    assert (0, {"A": "old", "B": "new"}) == (code, values(desk))
    assert "Kept the existing A; --overwrite replaces it" in shown
    desk.json("secret", "import", file, "--overwrite")
    assert {"A": "new", "B": "new", "C": "new"} == values(desk)


def test_import_of_more_than_a_version_takes(desk: Desk) -> None:
    """More than a hundred secrets arrive in two versions; at a terminal a bar shows how far it is."""
    many = {f"SECRET_{number:03}": str(number) for number in range(120)}
    before = versions(desk)

    code, shown = desk.at_terminal("secret", "import", desk.write("many.json", json.dumps(many)))

    assert (0, many, before + 2) == (code, values(desk), versions(desk))
    assert "Writing" in shown
    assert "100%" in shown


def test_diff_by_fingerprint(desk: Desk) -> None:
    """What was put from here is told from what is to change, and what others put is not guessed at."""
    desk.run("secret", "bulk", "-", stdin=b"SAME=1\nCHANGED=1\nOTHERS=1\nEXTRA=1\n")
    put_by_another(desk, "OTHERS", "1")
    file = desk.write("secrets.env", "SAME=1\nCHANGED=2\nOTHERS=1\nNEW=1\n")

    found = states(desk, file)

    assert {"SAME": "same", "CHANGED": "changed", "OTHERS": "unknown", "NEW": "new", "EXTRA": "extra"} == found
    code, shown = desk.at_terminal("secret", "diff", file)
    assert (7, ["CHANGED", "changed", "another", "value"]) == (code, shown.splitlines()[1].split())


def test_diff_without_a_difference(desk: Desk) -> None:
    """It ends with 0, also when there are more secrets than the file has, unless those count."""
    desk.run("secret", "bulk", "-", stdin=b"A=1\nB=1\n")
    file = desk.write("secrets.env", "A=1\n")

    assert {"A": "same", "B": "extra"} == states(desk, file, code=0)
    assert {"A": "same", "B": "extra"} == states(desk, file, "--prune", code=7)
    assert (0, True) == (
        desk.at_terminal("secret", "diff", file)[0],
        f"{desk.script} matches " in desk.at_terminal("secret", "diff", file)[1],
    )


def test_diff_across_deploys_and_desks(desk: Desk) -> None:
    """A deploy that keeps secrets leaves them known; another key knows nothing, and says so; the same key does."""
    desk.run("secret", "bulk", "-", stdin=b"A=1\n")
    file = desk.write("secrets.env", "A=1\n")
    with desk.wire as wire:
        assert wire.upload(desk.script, keep_bindings=["secret_text", "secret_key"]).status == 200
    assert {"A": "same"} == states(desk, file, code=0)

    key = desk.home / ".config" / "nightsafe" / "fingerprint-key"
    assert 0o600 == key.stat().st_mode & 0o777
    shared = desk.cwd / "team-key"
    key.rename(shared)

    assert {"A": "unknown"} == states(desk, file)
    assert {"A": "same"} == states(desk, file, "--fingerprint-key-file", str(shared), code=0)
    shared.chmod(0o644)
    words = desk.refusal("secret", "diff", file, "--fingerprint-key-file", str(shared), code=1)
    assert "can be read by others; run: chmod 600" in words


def test_a_fingerprint_is_of_one_place(desk: Desk) -> None:
    """Without a fingerprint, and after a change of type, nothing is taken for the same."""
    desk.run("secret", "put", "A", "--no-fingerprint", stdin=b"1")
    desk.run("secret", "put", "B", stdin=b"1")

    assert {"A": "unknown", "B": "same"} == states(desk, desk.write("f", '{"A": "1", "B": "1"}'))
    key: dict[str, Any] = {
        "type": "secret_key",
        "format": "raw",
        "algorithm": {"name": "HKDF"},
        "usages": ["deriveKey"],
    }
    changed = json.dumps({"B": key | {"key_base64": "MQ=="}})
    assert {"A": "extra", "B": "changed"} == states(desk, desk.write("f", changed))


def test_fingerprints_on_the_server_tell_nothing(desk: Desk) -> None:
    """The same value put twice under two names leaves no two equal fingerprints, and no name or value."""
    desk.run("secret", "bulk", "-", stdin=b"FIRST_NAME=canary\nSECOND_NAME=canary\n")
    desk.run("secret", "bulk", "-", stdin=b"FIRST_NAME=canary\n")

    with desk.wire as wire:
        tags = [
            one.get("version_tags", {})
            for one in wire.ask("GET", f"{SCRIPTS}/{desk.script}/versions").result["items"]
        ]

    kept = [one["nightsafe/fingerprints"] for one in tags if one]
    every = [fingerprint for one in kept for fingerprint in one.split(".")[3].split(",")]
    assert (2, 3, 3) == (len(kept), len(every), len(set(every)))
    assert "NAME" not in str(kept)
    assert "canary" not in str(kept)


def test_apply_makes_it_exactly_this_set(desk: Desk) -> None:
    """One version sets what is new, changed or unknown and deletes what is extra; a second run does nothing."""
    desk.run("secret", "bulk", "-", stdin=b"SAME=1\nCHANGED=1\nEXTRA=1\n")
    put_by_another(desk, "OTHERS", "9")
    file = desk.write("secrets.env", "SAME=1\nCHANGED=2\nOTHERS=1\nNEW=1\n")
    before = versions(desk)

    dry = desk.run("secret", "apply", file, "--prune", "--dry-run")
    assert (0, before) == (dry.returncode, versions(desk))
    assert "3 put, 1 deleted" in dry.stderr
    assert "(dry run)" in dry.stderr
    code, shown = desk.at_terminal("secret", "apply", file, "--prune", replies=[("Delete EXTRA of", "y")])

    assert (0, before + 1) == (code, versions(desk))
    assert f"{desk.script}: 3 put, 1 deleted" in shown
    assert {"SAME": "1", "CHANGED": "2", "OTHERS": "1", "NEW": "1"} == values(desk)
    assert {"differs": False, "applied": False} == {
        name: shown
        for name, shown in desk.json("secret", "apply", file, "--prune").items()
        if name in {"differs", "applied"}
    }
    assert before + 1 == versions(desk)


def test_apply_without_prune_keeps_the_rest(desk: Desk) -> None:
    """What is not in the file stays, but for what the file says null of; a no at the terminal changes nothing."""
    desk.run("secret", "bulk", "-", stdin=b"A=1\nB=1\nC=1\n")
    file = desk.write("secrets.json", '{"A": "2", "B": null}')

    refused, _ = desk.at_terminal("secret", "apply", file, replies=[("Delete B of", "n")])
    assert (1, {"A": "1", "B": "1", "C": "1"}) == (refused, values(desk))
    desk.json("secret", "apply", file, "--yes")
    assert {"A": "2", "C": "1"} == values(desk)


def test_apply_is_all_or_nothing(desk: Desk) -> None:
    """When the server refuses one, none is put, and the one is named."""
    with desk.wire as wire:
        wire.upload(desk.script, {"type": "plain_text", "name": "VAR", "text": "x"})

    words = desk.refusal("secret", "bulk", desk.write("f", "A=1\nVAR=2\n"), code=5)

    assert "[10053]" in words
    assert "VAR" in words
    assert {} == values(desk)


def test_apply_everything_puts_again(desk: Desk) -> None:
    """`--everything` puts also what is the same: a new version with the same values."""
    desk.run("secret", "bulk", "-", stdin=b"A=1\n")
    before = versions(desk)

    desk.json("secret", "apply", desk.write("f", "A=1\n"), "--everything")

    assert (before + 1, {"A": "1"}) == (versions(desk), values(desk))
