"""Refusals as JSON for programs, and suggestions of similar names."""

import json
from typing import Any

import pytest
from tests.clients.cli.tools.user_environment import UserEnvironment

NOWHERE = "http://127.0.0.1:9/client/v4"


def error(user: UserEnvironment, *arguments: str, code: int, stdin: bytes = b"") -> dict[str, Any]:
    """Run a command that must fail; return its JSON, after checking that standard error has the same messages."""
    done = user.run(*arguments, "--json", stdin=stdin)
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
def test_with_json_every_refusal_is_json(
    user: UserEnvironment, arguments: tuple[str, ...], code: int, kind: str, number: int | None
) -> None:
    """With `--json` every refusal is JSON: by the API, by the client, by the network or by the command line."""
    told = error(user, *arguments, code=code)

    assert (kind, number) == (told["kind"], told["problems"][0]["code"])
    assert told["message"]


def test_a_problem_in_json_has_advice_and_no_value(user: UserEnvironment) -> None:
    """A problem in the JSON has its code and advice, and never a value."""
    with user.wire as wire:
        wire.upload(user.script, {"type": "plain_text", "name": "VAR", "text": "x"})

    told = error(user, "secret", "bulk", "-", code=5, stdin=b'{"VAR": "canary"}')

    assert ("refused", 10053) == (told["kind"], told["problems"][0]["code"])
    assert "canary" not in str(told)
    assert told["problems"][0]["advice"]


def test_without_json_a_refusal_prints_nothing_on_stdout(user: UserEnvironment) -> None:
    """Without `--json`, or with `--json` after `--`, a refusal is printed on standard error only."""
    user.refusal("secret", "get", "ABSENT", code=4)
    user.refusal("secret", "get", "--", "--json", code=4)


def test_refusals_suggest_similar_names(user: UserEnvironment) -> None:
    """A refusal suggests the most similar script or secret, or nothing when no name is similar."""
    user.run("secret", "put", "API_KEY", stdin=b"value")

    near = f"{user.script}x"
    told = user.refusal("secret", "put", "NEW", "--script", near, code=4, stdin=b"value")
    assert f"'{user.script}'" in told.partition("did you mean ")[2], told
    assert f"'{user.script}'" in user.refusal("script", "show", near, code=4)
    [problem] = error(user, "secret", "get", "API_KYE", code=4)["problems"]
    assert "did you mean 'API_KEY'?" in problem["advice"]
    assert "did you mean 'API_KEY'?" in user.refusal("secret", "delete", "APIKEY", "B", "--yes", code=4)
    assert "mean" not in user.refusal("secret", "get", "ZZZZZZ", code=4)


def completed(user: UserEnvironment, words: str, **environ: str) -> list[str]:
    """Return the words that Tab offers after some words; the last word may be incomplete."""
    line = f"nightsafe {words}"
    position = str(len(line.split()) - (not line.endswith(" ")))
    asked = {"_NIGHTSAFE_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": position}
    done = user.run(stdin=b"", **asked, **environ)
    assert (0, "") == (done.returncode, done.stderr)
    return [word.partition(",")[2] for word in done.stdout.split()]


def test_tab_completes_scripts_and_secrets(user: UserEnvironment) -> None:
    """Tab completes scripts and secrets of the server in the settings or on the line, without names already given."""
    user.run("secret", "bulk", "-", stdin=b"API_KEY=1\nAPI_TOKEN=1\nOTHER=1\n")

    assert user.script in completed(user, f"secret list --script {user.script[:-1]}")
    assert ["API_KEY", "API_TOKEN"] == completed(user, "secret get API")
    assert ["OTHER"] == completed(user, f"secret get --script = {user.script} O")  # bash splits the words at `=`
    assert [user.script] == completed(user, f"secret list --script = {user.script}")
    assert ["API_TOKEN", "OTHER"] == completed(user, "secret delete API_KEY ")
    url = user.environ.pop("CLOUDFLARE_BASE_URL")
    assert ["OTHER"] == completed(user, f"secret put --url {url} O")
    (user.cwd / "nightsafe.toml").write_text(f'url = "{url}"\n')
    assert [] == completed(user, "secret get O")
    assert ["OTHER"] == completed(user, "secret get O", NIGHTSAFE_CONFIG="nightsafe.toml")


def test_completion_fails_silently(user: UserEnvironment) -> None:
    """Without a server, a script or a valid settings file, Tab offers and prints nothing."""
    assert [] == completed(user, "secret get A", CLOUDFLARE_BASE_URL=NOWHERE)
    assert [] == completed(user, "secret get A", NIGHTSAFE_SCRIPT="absent")
    user.write("nightsafe.toml", "url = ")
    assert [] == completed(user, "secret get A")
