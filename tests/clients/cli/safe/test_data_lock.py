"""A data directory that is being restored, or is served, from outside: who has to wait, and what a kill leaves."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from click.testing import CliRunner
from tests.live.tools.running import until
from tests.server import NIGHTSAFE, Safe, Server, clean_environ, run

from nightsafe.cli.data_directory.unfinished import PREFIX
from nightsafe.cli.main import cli
from nightsafe.errors import NightsafeError


@contextmanager
def half_restored(safe: Safe, content: bytes) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """`restore -` that has unpacked half of its backup and waits for the rest, and the folder that it works in."""
    command = [*NIGHTSAFE, "restore", "-", "--force", "--data", str(safe.path)]
    with subprocess.Popen(
        command, cwd=safe.path.parent, env=clean_environ(), stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        process.stdin.write(content[: len(content) // 2])
        process.stdin.flush()
        yield process, until(lambda: [one.parent for one in safe.path.parent.glob(f"{PREFIX}*/nightsafe.db")])[0]


def refusal(*command: str) -> str:
    """What a command in this process is refused with."""
    done = CliRunner().invoke(cli, command)
    assert isinstance(done.exception, NightsafeError), done.output
    return done.exception.problems[0].detail


def test_nobody_serves_what_is_being_restored(safe: Safe) -> None:
    """No server begins and no command writes meanwhile, for that would be put aside; afterwards all is as it was."""
    folder, at = safe.path.parent, ("--data", str(safe.path))
    assert 0 == run("backup", "backup.tar", *at, cwd=folder).returncode
    content = (folder / "backup.tar").read_bytes()

    with half_restored(safe, content) as (process, _):
        restores = f"another process is creating or restoring the safe in {safe.path}; try again when it is done"
        used = f"{safe.path} is in use by process {process.pid}; stop that first"
        server = run("serve", "--port", "0", *at, cwd=folder)
        assert (1, "", f"nightsafe: {restores}\n") == (server.returncode, server.stdout, server.stderr)
        assert [restores] * 2 == [
            refusal(*one, *at) for one in (["keys", "rotate"], ["backup", str(folder / "b.tar")])
        ]
        assert [used] * 2 == [
            refusal(*one, *at) for one in (["init"], ["restore", str(folder / "backup.tar"), "--force"])
        ]
        assert process.stdin is not None
        process.stdin.write(content[len(content) // 2 :])
        process.stdin.close()
        assert 0 == process.wait(60)
    with Server(safe):
        pass


def test_a_restore_that_was_killed(safe: Safe) -> None:
    """Its folder is named and removed by the next command, whatever that is; the safe was never touched."""
    folder, at = safe.path.parent, ("--data", str(safe.path))
    assert 0 == run("backup", "backup.tar", "--with-private-ring", *at, cwd=folder).returncode
    before = safe.database.stat()

    with half_restored(safe, (folder / "backup.tar").read_bytes()) as (process, left):
        process.kill()
        process.wait()
    assert left.exists()
    done = run("token", "list", *at, cwd=folder)

    assert (0, f"nightsafe: removed {left}, which an interrupted `nightsafe restore` left behind\n") == (
        done.returncode,
        done.stderr,
    )
    assert [] == [path for path in folder.iterdir() if path.name.startswith(".")]
    assert before.st_ino == safe.database.stat().st_ino


def test_a_server_that_was_killed(safe: Safe) -> None:
    """While it is there its safe stays, also when its address was deleted; its lock ends with it."""
    folder, at = safe.path.parent, ("--data", str(safe.path))
    server = Server(safe)
    server.start()
    assert 0 == run("backup", "backup.tar", *at, cwd=folder).returncode
    (safe.path / "address").unlink()

    refused = run("restore", "backup.tar", "--force", *at, cwd=folder)
    pid = server.pid
    server.kill()
    restored = run("restore", "backup.tar", "--force", "--json", *at, cwd=folder)

    words = f"nightsafe: {safe.path} is in use by process {pid}; stop that first\n"
    assert (1, words) == (refused.returncode, refused.stderr)
    assert 0 == restored.returncode, restored.stderr
    assert Path(folder / "backup.tar").exists()
