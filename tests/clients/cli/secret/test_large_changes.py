"""More changes than one version takes: told beforehand, made in parts, and gone on with by running it again."""

import json
from collections.abc import Iterable

import pytest
from tests.clients.cli.tools.desk import Desk
from tests.clients.opened import opened
from tests.clients.wire.talk import SCRIPTS

OLD = [f"OLD_{number}" for number in range(5)]
NEW = {f"S{number:03}": str(number) for number in range(120)}
LAST = "S119"


def put_old(desk: Desk) -> None:
    """Secrets that the file does not have."""
    done = desk.run("secret", "bulk", "-", stdin=json.dumps(dict.fromkeys(OLD, "old")).encode())
    assert 0 == done.returncode, done.stderr


def names(desk: Desk) -> set[str]:
    """What is there."""
    with desk.wire as wire:
        return {one["name"] for one in wire.ask("GET", f"{SCRIPTS}/{desk.script}/secrets").result}


def versions(desk: Desk) -> int:
    """How many versions the script has."""
    with desk.wire as wire:
        return int(wire.ask("GET", f"{SCRIPTS}/{desk.script}/versions").result["items"][0]["number"])


def taken(desk: Desk, by: Iterable[str]) -> None:
    """Give names to variables, which no secret can have."""
    bindings = [{"type": "plain_text", "name": name, "text": "x"} for name in by]
    with desk.wire as wire:
        assert 200 == wire.upload(desk.script, *bindings, keep_bindings=["secret_text", "secret_key"]).status


def test_apply_in_parts(desk: Desk) -> None:
    """A dry run tells of two writes; then they are made, with a bar at a terminal; nothing is left to do."""
    put_old(desk)
    file, before = desk.write("many.json", json.dumps(NEW)), versions(desk)

    dry = desk.run("secret", "apply", file, "--prune", "--dry-run")
    assert (0, before) == (dry.returncode, versions(desk))
    assert "125 changes take 2 writes of at most 100 changes, each all or nothing: first all puts, then" in dry.stderr
    assert "120 put, 5 deleted" in dry.stderr
    assert 2 == desk.json("secret", "apply", file, "--prune", "--dry-run")["writes"]
    code, shown = desk.at_terminal("secret", "apply", file, "--prune", replies=[("Delete OLD_0,", "y")])

    assert (0, before + 2, NEW) == (code, versions(desk), opened(desk.server.safe, desk.script))
    assert 0 <= shown.index("take 2 writes") < shown.index("Delete OLD_0") < shown.index("Writing")
    assert "100%" in shown
    again = desk.json("secret", "apply", file, "--prune", "--dry-run")
    assert (0, False) == (again["writes"], again["differs"])


def test_what_stops_halfway_is_gone_on_with(desk: Desk) -> None:
    """Each write is all or nothing, deletions wait until everything is put, and what is done is not done again."""
    put_old(desk)
    taken(desk, [LAST])
    file = desk.write("many.json", json.dumps(NEW))

    done = desk.run("secret", "apply", file, "--prune", "--yes")
    assert (5, True) == (done.returncode, LAST in done.stderr)
    assert "write 1 of 2: 100 of 125 changes are made" in done.stderr
    assert "stopped at write 2 of 2: 100 of 125 changes are made and stay; run this again to continue" in done.stderr
    assert {*OLD, *sorted(NEW)[:100]} == names(desk)

    taken(desk, [])
    before = versions(desk)
    found = desk.json("secret", "apply", file, "--prune", "--yes")

    assert (1, True) == (found["writes"], found["applied"])
    assert 100 == sum(one["state"] == "same" for one in found["secrets"])
    assert (before + 1, NEW) == (versions(desk), opened(desk.server.safe, desk.script))


def test_import_goes_on_too(desk: Desk) -> None:
    """What was taken over is there, so the next run takes over the rest."""
    taken(desk, [LAST])
    file = desk.write("many.json", json.dumps(NEW))

    words = desk.refusal("secret", "import", file, code=5)
    assert "stopped at write 2 of 2: 100 of 120 changes are made" in words
    taken(desk, [])

    assert sorted(NEW)[100:] == desk.json("secret", "import", file)["put"]
    assert NEW == opened(desk.server.safe, desk.script)


@pytest.mark.parametrize("command", [("bulk",), ("apply", "--prune", "--dry-run"), ("import", "--dry-run")])
def test_nobody_is_told_to_split_a_file(desk: Desk, command: tuple[str, ...]) -> None:
    """With --prune each part would delete the other."""
    done = desk.run("secret", *command, "-", stdin=json.dumps(NEW).encode())

    assert "split" not in done.stderr.lower()
    assert command[0] != "bulk" or "`nightsafe secret apply` makes the same changes" in done.stderr
