"""Refusals: as JSON for programs, and with the names that may have been meant."""

import json
from typing import Any

import pytest
from tests.clients.cli.tools.desk import Desk

NOWHERE = "http://127.0.0.1:9/client/v4"


def error(desk: Desk, *arguments: str, code: int, stdin: bytes = b"") -> dict[str, Any]:
    """What a program is told; people are told the same."""
    done = desk.run(*arguments, "--json", stdin=stdin)
    assert code == done.returncode, done.stderr
    [(name, told)] = json.loads(done.stdout).items()
    assert ("error", code) == (name, told["exit_code"])
    assert all(problem["message"] in done.stderr for problem in told["problems"])
    return dict(told)


@pytest.mark.parametrize(
    ("arguments", "code", "kind", "number"),
    [
        (("secret", "get", "ABSENT"), 4, "not_found", 10056),
        (("secret", "delete", "ABSENT", "NOR_THIS", "--yes"), 4, "not_found", None),
        (("secret", "list", "--url", NOWHERE), 6, "unavailable", None),
        (("secret", "list", "--account", "f" * 32), 3, "not_permitted", 10000),
        (("secret", "list", "--nonsense"), 2, "usage", None),
    ],
)
def test_a_refusal_is_json_too(
    desk: Desk, arguments: tuple[str, ...], code: int, kind: str, number: int | None
) -> None:
    """With --json, whatever refuses: the API, this program before it, the network, or the command line itself."""
    told = error(desk, *arguments, code=code)

    assert (kind, number) == (told["kind"], told["problems"][0]["code"])
    assert told["message"]


def test_several_things_that_are_wrong(desk: Desk) -> None:
    """Each is one problem, with its code, where it is, and never with a value."""
    with desk.wire as wire:
        wire.upload(desk.script, {"type": "plain_text", "name": "VAR", "text": "x"})

    told = error(desk, "secret", "bulk", "-", code=5, stdin=b'{"VAR": "canary"}')

    assert ("refused", 10053) == (told["kind"], told["problems"][0]["code"])
    assert "canary" not in str(told)
    assert told["problems"][0]["advice"]


def test_without_json_nothing_is_on_stdout(desk: Desk) -> None:
    """A refusal is for people then; `--json` as a value of something, or after `--`, is no wish."""
    desk.refusal("secret", "get", "ABSENT", code=4)
    desk.refusal("secret", "get", "--", "--json", code=4)


def test_did_you_mean(desk: Desk) -> None:
    """For scripts and secrets, the likest first; where nothing is like it there is no guess."""
    desk.run("secret", "put", "API_KEY", stdin=b"value")

    near = f"{desk.script}x"
    told = desk.refusal("secret", "put", "NEW", "--script", near, code=4, stdin=b"value")
    assert f"'{desk.script}'" in told.partition("did you mean ")[2], told
    assert f"'{desk.script}'" in desk.refusal("script", "show", near, code=4)
    [problem] = error(desk, "secret", "get", "API_KYE", code=4)["problems"]
    assert "did you mean 'API_KEY'?" in problem["advice"]
    assert "did you mean 'API_KEY'?" in desk.refusal("secret", "delete", "APIKEY", "B", "--yes", code=4)
    assert "mean" not in desk.refusal("secret", "get", "ZZZZZZ", code=4)


def completed(desk: Desk, words: str, **environ: str) -> list[str]:
    """What Tab offers after some words, of which the last may be begun."""
    line = f"nightsafe {words}"
    position = str(len(line.split()) - (not line.endswith(" ")))
    asked = {"_NIGHTSAFE_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": position}
    done = desk.run(stdin=b"", **asked, **environ)
    assert (0, "") == (done.returncode, done.stderr)
    return [one.partition(",")[2] for one in done.stdout.split()]


def test_names_are_completed(desk: Desk) -> None:
    """Scripts and secrets of the server that is configured, or named on the line; of several each once."""
    desk.run("secret", "bulk", "-", stdin=b"API_KEY=1\nAPI_TOKEN=1\nOTHER=1\n")

    assert desk.script in completed(desk, f"secret list --script {desk.script[:-1]}")
    assert ["API_KEY", "API_TOKEN"] == completed(desk, "secret get API")
    assert ["OTHER"] == completed(desk, f"secret get --script = {desk.script} O")  # as bash has the words
    assert [desk.script] == completed(desk, f"secret list --script = {desk.script}")
    assert ["API_TOKEN", "OTHER"] == completed(desk, "secret delete API_KEY ")
    url = desk.environ.pop("CLOUDFLARE_BASE_URL")
    assert ["OTHER"] == completed(desk, f"secret put --url {url} O")
    (desk.cwd / "nightsafe.toml").write_text(f'url = "{url}"\n')
    assert [] == completed(desk, "secret get O")
    assert ["OTHER"] == completed(desk, "secret get O", NIGHTSAFE_CONFIG="nightsafe.toml")


def test_completion_fails_in_silence(desk: Desk) -> None:
    """Where there is no server, no script or no sound settings file, nothing is offered or said."""
    assert [] == completed(desk, "secret get A", CLOUDFLARE_BASE_URL=NOWHERE)
    assert [] == completed(desk, "secret get A", NIGHTSAFE_SCRIPT="absent")
    desk.write("nightsafe.toml", "url = ")
    assert [] == completed(desk, "secret get A")
