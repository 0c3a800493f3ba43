"""Locks on a data directory during `restore` and `serve`, and the state after a kill."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from click.testing import CliRunner
from tests.live.tools.running import until
from tests.server import NIGHTSAFE, Safe, Server, clean_environ, run

from nightsafe.cli.data_directory.creation_plan import PREFIX
from nightsafe.cli.main import cli
from nightsafe.errors import NightsafeError


@contextmanager
def half_restored(safe: Safe, content: bytes) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Yield a `restore -` that waits for the second half of its backup, and its temporary directory."""
    command = [*NIGHTSAFE, "restore", "-", "--force", "--data", str(safe.path)]
    with subprocess.Popen(
        command, cwd=safe.path.parent, env=clean_environ(), stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        process.stdin.write(content[: len(content) // 2])
        process.stdin.flush()
        yield process, until(lambda: [path.parent for path in safe.path.parent.glob(f"{PREFIX}*/nightsafe.db")])[0]


def refusal(*command: str) -> str:
    """Run a command in this process; return its refusal."""
    done = CliRunner().invoke(cli, command)
    assert isinstance(done.exception, NightsafeError), done.output
    return done.exception.problems[0].detail


def test_nothing_uses_a_safe_during_its_restore(safe: Safe) -> None:
    """Until `restore` ends, no server starts and no command writes, since their work would be lost."""
    folder, at = safe.path.parent, ("--data", str(safe.path))
    assert 0 == run("backup", "backup.tar", *at, cwd=folder).returncode
    content = (folder / "backup.tar").read_bytes()

    with half_restored(safe, content) as (process, _):
        restores = f"another process is creating or restoring the safe in {safe.path}; try again when it is done"
        used = f"{safe.path} is in use by process {process.pid}; stop that first"
        server = run("serve", "--port", "0", *at, cwd=folder)
        assert (1, "", f"nightsafe: {restores}\n") == (server.returncode, server.stdout, server.stderr)
        assert [restores] * 2 == [
            refusal(*words, *at) for words in (["keys", "rotate"], ["backup", str(folder / "b.tar")])
        ]
        assert [used] * 2 == [
            refusal(*words, *at) for words in (["init"], ["restore", str(folder / "backup.tar"), "--force"])
        ]
        assert process.stdin is not None
        process.stdin.write(content[len(content) // 2 :])
        process.stdin.close()
        assert 0 == process.wait(60)
    with Server(safe):
        pass


def test_the_next_command_cleans_up_after_a_killed_restore(safe: Safe) -> None:
    """The next command removes the temporary directory and says so; the safe was never touched."""
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


def test_the_lock_of_a_killed_server_is_released(safe: Safe) -> None:
    """A running server protects its safe even if its `address` file is gone; the lock ends with the process."""
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
