"""More changes than one version takes: announced first, made in parts, and continued by running the command again."""

import json
from collections.abc import Iterable

import pytest
from tests.clients.cli.tools.user_environment import Desk
from tests.clients.wire.talk import SCRIPTS

OLD = [f"OLD_{number}" for number in range(5)]
NEW = {f"S{number:03}": str(number) for number in range(120)}
LAST = "S119"


def put_old(desk: Desk) -> None:
    """Put secrets that are not in the file."""
    done = desk.run("secret", "bulk", "-", stdin=json.dumps(dict.fromkeys(OLD, "old")).encode())
    assert 0 == done.returncode, done.stderr


def names(desk: Desk) -> set[str]:
    """Return the names of the script's secrets."""
    with desk.wire as wire:
        return {secret["name"] for secret in wire.ask("GET", f"{SCRIPTS}/{desk.script}/secrets").result}


def take_names(desk: Desk, names: Iterable[str]) -> None:
    """Give variables these names, so that no secret can have them."""
    bindings = [{"type": "plain_text", "name": name, "text": "x"} for name in names]
    with desk.wire as wire:
        assert 200 == wire.upload(desk.script, *bindings, keep_bindings=["secret_text", "secret_key"]).status


def test_apply_announces_and_makes_two_writes(desk: Desk) -> None:
    """A dry run announces two writes; the real run makes them with a progress bar and leaves nothing to do."""
    put_old(desk)
    file, before = desk.write("many.json", json.dumps(NEW)), desk.version_number()

    dry = desk.run("secret", "apply", file, "--prune", "--dry-run")
    assert (0, before) == (dry.returncode, desk.version_number())
    assert "125 changes take 2 writes of at most 100 changes, each all or nothing: first all puts, then" in dry.stderr
    assert "120 put, 5 deleted" in dry.stderr
    assert 2 == desk.json("secret", "apply", file, "--prune", "--dry-run")["writes"]
    code, shown = desk.at_terminal("secret", "apply", file, "--prune", replies=[("Delete OLD_0,", "y")])

    assert (0, before + 2, NEW) == (code, desk.version_number(), desk.values())
    assert 0 <= shown.index("take 2 writes") < shown.index("Delete OLD_0") < shown.index("Writing")
    assert "100%" in shown
    again = desk.json("secret", "apply", file, "--prune", "--dry-run")
    assert (0, False) == (again["writes"], again["differs"])


def test_apply_continues_after_a_failed_write(desk: Desk) -> None:
    """Each write is all or nothing, deletions come after all puts, and the next run does only the rest."""
    put_old(desk)
    take_names(desk, [LAST])
    file = desk.write("many.json", json.dumps(NEW))

    done = desk.run("secret", "apply", file, "--prune", "--yes")
    assert (5, True) == (done.returncode, LAST in done.stderr)
    assert "write 1 of 2: 100 of 125 changes are made" in done.stderr
    assert "stopped at write 2 of 2: 100 of 125 changes are made and stay; run this again to continue" in done.stderr
    assert {*OLD, *sorted(NEW)[:100]} == names(desk)

    take_names(desk, [])
    before = desk.version_number()
    found = desk.json("secret", "apply", file, "--prune", "--yes")

    assert (1, True) == (found["writes"], found["applied"])
    assert 100 == sum(secret["state"] == "same" for secret in found["secrets"])
    assert (before + 1, NEW) == (desk.version_number(), desk.values())


def test_import_continues_after_a_failed_write(desk: Desk) -> None:
    """The next `import` adds only the secrets that are still missing."""
    take_names(desk, [LAST])
    file = desk.write("many.json", json.dumps(NEW))

    words = desk.refusal("secret", "import", file, code=5)
    assert "stopped at write 2 of 2: 100 of 120 changes are made" in words
    take_names(desk, [])

    assert sorted(NEW)[100:] == desk.json("secret", "import", file)["put"]
    assert NEW == desk.values()


@pytest.mark.parametrize("command", [("bulk",), ("apply", "--prune", "--dry-run"), ("import", "--dry-run")])
def test_no_message_suggests_to_split_a_file(desk: Desk, command: tuple[str, ...]) -> None:
    """No message suggests to split the file, since with `--prune` each part would delete the other."""
    done = desk.run("secret", *command, "-", stdin=json.dumps(NEW).encode())

    assert "split" not in done.stderr.lower()
    assert command[0] != "bulk" or "`nightsafe secret apply` makes the same changes" in done.stderr
