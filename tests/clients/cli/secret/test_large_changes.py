"""More changes than one version takes: announced first, made in parts, and continued by running the command again."""

import json
from collections.abc import Iterable

import pytest
from tests.clients.cli.tools.user_environment import UserEnvironment
from tests.clients.wire.talk import SCRIPTS

OLD = [f"OLD_{number}" for number in range(5)]
NEW = {f"S{number:03}": str(number) for number in range(120)}
LAST = "S119"


def put_old(user: UserEnvironment) -> None:
    """Put secrets that are not in the file."""
    done = user.run("secret", "bulk", "-", stdin=json.dumps(dict.fromkeys(OLD, "old")).encode())
    assert 0 == done.returncode, done.stderr


def names(user: UserEnvironment) -> set[str]:
    """Return the names of the script's secrets."""
    with user.wire as wire:
        return {secret["name"] for secret in wire.ask("GET", f"{SCRIPTS}/{user.script}/secrets").result}


def take_names(user: UserEnvironment, names: Iterable[str]) -> None:
    """Give variables these names, so that no secret can have them."""
    bindings = [{"type": "plain_text", "name": name, "text": "x"} for name in names]
    with user.wire as wire:
        assert 200 == wire.upload(user.script, *bindings, keep_bindings=["secret_text", "secret_key"]).status


def test_apply_announces_and_makes_two_writes(user: UserEnvironment) -> None:
    """A dry run announces two writes; the real run makes them with a progress bar and leaves nothing to do."""
    put_old(user)
    file, before = user.write("many.json", json.dumps(NEW)), user.version_number()

    dry = user.run("secret", "apply", file, "--prune", "--dry-run")
    assert (0, before) == (dry.returncode, user.version_number())
    assert "125 changes take 2 writes of at most 100 changes, each all or nothing: first all puts, then" in dry.stderr
    assert "120 put, 5 deleted" in dry.stderr
    assert 2 == user.json("secret", "apply", file, "--prune", "--dry-run")["writes"]
    code, shown = user.at_terminal("secret", "apply", file, "--prune", replies=[("Delete OLD_0,", "y")])

    assert (0, before + 2, NEW) == (code, user.version_number(), user.values())
    assert 0 <= shown.index("take 2 writes") < shown.index("Delete OLD_0") < shown.index("Writing")
    assert "100%" in shown
    again = user.json("secret", "apply", file, "--prune", "--dry-run")
    assert (0, False) == (again["writes"], again["differs"])


def test_apply_continues_after_a_failed_write(user: UserEnvironment) -> None:
    """Each write is all or nothing, deletions come after all puts, and the next run does only the rest."""
    put_old(user)
    take_names(user, [LAST])
    file = user.write("many.json", json.dumps(NEW))

    done = user.run("secret", "apply", file, "--prune", "--yes")
    assert (5, True) == (done.returncode, LAST in done.stderr)
    assert "write 1 of 2: 100 of 125 changes are made" in done.stderr
    assert "stopped at write 2 of 2: 100 of 125 changes are made and stay; run this again to continue" in done.stderr
    assert {*OLD, *sorted(NEW)[:100]} == names(user)

    take_names(user, [])
    before = user.version_number()
    found = user.json("secret", "apply", file, "--prune", "--yes")

    assert (1, True) == (found["writes"], found["applied"])
    assert 100 == sum(secret["state"] == "same" for secret in found["secrets"])
    assert (before + 1, NEW) == (user.version_number(), user.values())


def test_import_continues_after_a_failed_write(user: UserEnvironment) -> None:
    """The next `import` adds only the secrets that are still missing."""
    take_names(user, [LAST])
    file = user.write("many.json", json.dumps(NEW))

    words = user.refusal("secret", "import", file, code=5)
    assert "stopped at write 2 of 2: 100 of 120 changes are made" in words
    take_names(user, [])

    assert sorted(NEW)[100:] == user.json("secret", "import", file)["put"]
    assert NEW == user.values()


@pytest.mark.parametrize("command", [("bulk",), ("apply", "--prune", "--dry-run"), ("import", "--dry-run")])
def test_no_message_suggests_to_split_a_file(user: UserEnvironment, command: tuple[str, ...]) -> None:
    """No message suggests to split the file, since with `--prune` each part would delete the other."""
    done = user.run("secret", *command, "-", stdin=json.dumps(NEW).encode())

    assert "split" not in done.stderr.lower()
    assert command[0] != "bulk" or "`nightsafe secret apply` makes the same changes" in done.stderr
