"""`nightsafe version`, `deployment` and `rollback`."""

from typing import Any

import pytest
from tests.clients.cli.tools.user_environment import UserEnvironment
from tests.clients.stored_values import opened
from tests.clients.wire.talk import SCRIPTS


@pytest.fixture
def four_versions(user: UserEnvironment) -> list[dict[str, Any]]:
    """Return the four versions of a script, newest first: an upload, and three changes of a secret."""
    for value in (b"one", b"two", b"three"):
        user.run("secret", "put", "TOKEN", stdin=value)
    versions: list[dict[str, Any]] = user.json("version", "list")["versions"]
    assert [4, 3, 2, 1] == [version["number"] for version in versions]
    return versions


def served(user: UserEnvironment) -> list[str]:
    """Return the ids of the versions in the newest deployment."""
    with user.wire as wire:
        newest = wire.ask("GET", f"{SCRIPTS}/{user.script}/deployments").result["deployments"][0]
    return [version["version_id"] for version in newest["versions"]]


def test_version_list_has_the_newest_first(user: UserEnvironment, four_versions: list[dict[str, Any]]) -> None:
    """The list has the newest version first and at most `--limit` lines."""
    code, shown = user.at_terminal("version", "list", "--limit", "3")
    head, *lines = shown.splitlines()

    assert (0, ["number", "id", "created_on", "by", "author", "note"]) == (code, head.split())
    assert [
        ["4", four_versions[0]["id"][:8]],
        ["3", four_versions[1]["id"][:8]],
        ["2", four_versions[2]["id"][:8]],
    ] == [line.split()[:2] for line in lines]
    assert "secret, api" in lines[0]
    assert user.server.safe.email in lines[0]
    numbers = [version["number"] for version in user.json("version", "list", "--limit", "2")["versions"]]
    assert ["4", "3"] == [str(number) for number in numbers]  # `version show` takes no "4.0"


def test_version_show_accepts_numbers_and_ids(user: UserEnvironment, four_versions: list[dict[str, Any]]) -> None:
    """A version is named by its number, its id or the first letters of its id."""
    third = four_versions[1]["id"]

    for named in ("3", third, third.upper(), third[:8]):
        assert (third, 3) == (
            user.json("version", "show", named)["id"],
            user.json("version", "show", named)["number"],
        )
    code, shown = user.at_terminal("version", "show", "3")
    assert (0, True) == (code, "TOKEN (secret_text)" in shown)


@pytest.mark.parametrize(
    ("named", "code", "words"),
    [
        ("9", 4, "has no version 9; run `nightsafe version list`"),
        ("9" * 5000, 4, "has no version 9"),
        ("ffffffff", 4, "has no version ffffffff"),
        ("ab", 1, "'ab' is not a version: give its number, its ID"),
        ("x" * 8, 1, "is not a version"),
        ("00000000-0000-4000-8000-000000000000", 4, "[100146]"),
    ],
)
def test_version_show_refuses_an_unknown_version(
    user: UserEnvironment, four_versions: list[dict[str, Any]], named: str, code: int, words: str
) -> None:
    """The message names the command that lists the versions."""
    assert four_versions
    assert words in user.refusal("version", "show", named, code=code)


def test_deployment_list_and_show(user: UserEnvironment, four_versions: list[dict[str, Any]]) -> None:
    """The first deployment of the list is served and is the default of `show`, which also takes an id prefix."""
    code, shown = user.at_terminal("deployment", "list", "--limit", "2")
    head, first, second = shown.splitlines()

    assert (0, "id") == (code, head.split()[0])
    assert (f"{four_versions[0]['id'][:8]} 100 %" in first, f"{four_versions[1]['id'][:8]} 100 %" in second) == (
        True,
        True,
    )
    assert first.split()[0] == user.json("deployment", "show")["id"][:8]
    whole = user.json("deployment", "show", second.split()[0].upper())["id"]
    assert (second.split()[0], whole) == (whole[:8], user.json("deployment", "show", whole)["id"])
    assert f"{four_versions[0]['id']} (100 %)" in user.at_terminal("deployment", "show")[1]
    assert 4 == user.run("deployment", "show", "00000000-0000-4000-8000-000000000000").returncode
    assert "has no deployment ffffffff" in user.refusal("deployment", "show", "ffffffff", code=4)
    assert "'xyz' is not a deployment ID" in user.refusal("deployment", "show", "xyz", code=1)


def test_lists_fit_eighty_columns(user: UserEnvironment, four_versions: list[dict[str, Any]]) -> None:
    """Without a terminal, lists fit 80 columns, even with two versions served and a long note."""
    split = [
        {"version_id": four_versions[1]["id"], "percentage": 12.5},
        {"version_id": four_versions[0]["id"], "percentage": 87.5},
    ]
    body = {"strategy": "percentage", "versions": split, "annotations": {"workers/message": "long " * 15}}
    with user.wire as wire:
        assert 200 == wire.send("POST", f"{SCRIPTS}/{user.script}/deployments", body).status

    lists = {what: user.run(what, "list").stdout.splitlines() for what in ("deployment", "version", "secret")}

    assert [6, 5, 2] == [len(lines) for lines in lists.values()]
    assert 80 >= max(len(line) for lines in lists.values() for line in lines)
    for version, share in ((four_versions[0]["id"], "87.5 %"), (four_versions[1]["id"], "12.5 %")):
        assert f"{version[:8]} {share}" in lists["deployment"][1]
    assert "\N{HORIZONTAL ELLIPSIS}" in lists["deployment"][1]
    assert user.server.safe.email in user.at_terminal("deployment", "list")[1]


def test_rollback_asks_and_restores_secrets(user: UserEnvironment, four_versions: list[dict[str, Any]]) -> None:
    """`rollback` asks first, and asks again if secrets have changed since that version."""
    no, _ = user.at_terminal("rollback", replies=[("Deploy version 3", "n")])
    no_secrets, _ = user.at_terminal(
        "rollback", replies=[("Deploy version 3", "y"), ("changed since then: TOKEN", "n")]
    )
    assert (1, 1, [four_versions[0]["id"]]) == (no, no_secrets, served(user))

    code, shown = user.at_terminal(
        "rollback", replies=[("Deploy version 3", "y"), ("changed since then: TOKEN", "y")]
    )

    assert (0, [four_versions[1]["id"]]) == (code, served(user))
    assert "version 3" in shown
    assert {"TOKEN": "two"} == opened(user.server.safe, user.script, version=3)


def test_rollback_without_a_terminal_needs_force(user: UserEnvironment, four_versions: list[dict[str, Any]]) -> None:
    """Without a terminal `rollback` needs `--force` if secrets have changed, and names them."""
    words = user.refusal("rollback", "2", "--yes", code=5)
    assert "[10220]" in words
    assert "TOKEN" in words
    assert "give --force" in words

    made = user.json("rollback", "2", "--yes", "--force", "--message", "it was better")

    assert ([four_versions[2]["id"]], four_versions[2]["id"]) == (served(user), made["version_id"])
    shown = user.json("deployment", "show")
    assert (made["deployment_id"], "it was better") == (shown["id"], shown["annotations"]["workers/message"])


def test_rollback_of_the_only_deployment_is_refused(user: UserEnvironment) -> None:
    """`rollback` without a version is refused if the script was deployed once only."""
    assert "was deployed before; name a version" in user.refusal("rollback", code=4)


def test_after_a_rollback_secrets_need_the_newest_version(
    user: UserEnvironment, four_versions: list[dict[str, Any]]
) -> None:
    """After a rollback a secret is refused until the newest version is deployed again; the advice works."""
    user.json("rollback", "1", "--yes", "--force")
    words = user.refusal("secret", "put", "NEW", code=5, stdin=b"value")
    assert "[10215]" in words
    assert "run `nightsafe rollback` with its number" in words

    user.json("rollback", "4", "--yes")
    user.json("secret", "put", "NEW", stdin=b"value")

    assert {"NEW": "value", "TOKEN": "three"} == user.values()
    assert four_versions
