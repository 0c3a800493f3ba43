"""`nightsafe audit` as a process: its standard input, its terminal, and its pipes."""

from pathlib import Path

import pytest
from tests.clients.cli.tools.user_environment import UserEnvironment


@pytest.fixture
def safe(user: UserEnvironment) -> tuple[str, str]:
    """Return the options for the data directory of a server that has a few entries."""
    user.run("secret", "put", "TOKEN", stdin=b"value")
    return ("--data", str(user.server.safe.path))


def test_an_export_is_verified_from_standard_input(user: UserEnvironment, safe: tuple[str, str]) -> None:
    """`audit verify -` reads an export from a pipe, and recognises another file there too."""
    export = user.run("audit", "export", *safe).stdout.encode()
    keys = ("--verify-keys", str(Path(safe[1]) / "keys" / "verify-keys.json"))

    done = user.run("audit", "verify", "-", *keys, stdin=export)
    assert (0, True) == (done.returncode, done.stdout.endswith(" entries: all as the checkpoint says\n"))
    checkpoint = user.run("audit", "checkpoint", *safe).stdout.encode()
    assert "standard input is a checkpoint" in user.refusal("audit", "verify", "-", *keys, stdin=checkpoint, code=1)


def test_a_list_fits_a_narrow_terminal(user: UserEnvironment, safe: tuple[str, str]) -> None:
    """80 columns have index, time, actor, action and resource; `--wide`, wide terminals and pipes have all."""
    words = ("audit", "list", *safe, "--limit", "5")
    piped = user.run(*words).stdout
    user.environ["COLUMNS"] = "80"
    _, narrow = user.at_terminal(*words)
    _, wide = user.at_terminal(*words, "--wide")
    user.environ["COLUMNS"] = "1000"
    _, unlimited = user.at_terminal(*words)

    assert ["index", "time", "actor", "action", "resource"] == narrow.splitlines()[0].split()
    assert max(map(len, narrow.splitlines())) <= 80
    assert "secrets.patch" in narrow
    assert piped == wide == unlimited
    assert ["index", "time", "actor", "action", "resource", "names", "address"] == piped.splitlines()[0].split()
    assert "\N{HORIZONTAL ELLIPSIS}" not in piped
