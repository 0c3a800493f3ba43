"""Errors of the operating system: one sentence with the file's name and a remedy, and exit code 1."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.server import clean_environ

from nightsafe.cli import main as module
from nightsafe.cli.terminal.os_errors import describe_os_error

NOBODY = 65534
COMMANDS = (
    "init --data {}",
    "token roll ID --data {}",
    "keys status --data {}",
    "keys rotate --data {}",
    "token list --data {}",
    "account list --data {}",
    "user create --email a@b.c --data {}",
    "backup {}/backup.tar --data safe",
    "backup backup.tar --data {}",
    "restore backup.tar --data {}",
    "doctor --data {}",
    "script list --data {}",
    "secret put NAME --from-file {} --script worker --url http://127.0.0.1:9",
    "--config {} token list",
)


def run_command(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[object, str]:
    """Return the exit code of a command run in this process, and what it prints."""
    monkeypatch.setattr(sys, "argv", ["nightsafe", *command.split()])
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "nst_x")
    with pytest.raises(SystemExit) as ended:
        module.main()
    printed = capsys.readouterr()
    return ended.value.code, printed.out + printed.err


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("place", ["loop/x", "file/x", "long"])
def test_an_impossible_path_gives_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, place: str
) -> None:
    """With a circular link, a file in the path or a name that is too long, no command prints a traceback."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    (tmp_path / "safe").mkdir()
    (tmp_path / "safe" / "nightsafe.db").touch()

    code, words = run_command(command.format("x" * 300 if place == "long" else place), monkeypatch, capsys)

    assert code in {1, 2}, words
    assert "Traceback" not in words
    assert words


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unsearchable_settings_file_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """Every command names the settings file that it may not look for."""

    def fail(_: Path | None) -> None:
        """Fail to look for the file."""
        raise PermissionError(errno.EACCES, "Permission denied", "nightsafe.toml")

    monkeypatch.setattr(module, "default_map", fail)

    code, words = run_command(command.format("x"), monkeypatch, capsys)

    assert (1, True) == (
        code,
        words.startswith("nightsafe: nightsafe.toml cannot be used: Permission denied; run this"),
    )
    assert 1 == words.count("\n")


def run_in_child(code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a new process, after some code that runs when everything is imported."""
    loaded = (
        "import os, sys, nightsafe.cli.main as m, nightsafe.cli.token.commands, nightsafe.cli.terminal.os_errors\n"
    )
    return subprocess.run(
        [sys.executable, "-c", loaded + code + "\nsys.argv = ['nightsafe', 'token', 'list']; m.main()"],
        cwd=cwd,
        env=clean_environ(),
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_unsearchable_working_directory_is_reported(tmp_path: Path) -> None:
    """A working directory that may not be searched, as after `sudo -u`, is reported."""
    tmp_path.chmod(0)
    code = f"os.chdir({str(tmp_path)!r}); os.setuid({NOBODY})" if os.geteuid() == 0 else "os.chmod('.', 0)"
    try:
        done = run_in_child(code, Path("/"))
    finally:
        tmp_path.chmod(0o700)

    assert (1, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("nightsafe: nightsafe.toml cannot be used: Permission denied")
    assert 1 == done.stderr.count("\n")


def test_a_deleted_working_directory_is_reported(tmp_path: Path) -> None:
    """A working directory that was deleted is reported."""
    done = run_in_child("os.rmdir(os.getcwd())", tmp_path)

    assert (1, "") == (done.returncode, done.stdout)
    assert "nightsafe: the working directory no longer exists; change to one that exists\n" == done.stderr
    tmp_path.mkdir()


def test_a_sentence_has_the_file_and_a_remedy() -> None:
    """A sentence names the file in printable form and the remedy; without a file it has the reason."""
    full = OSError(errno.ENOSPC, "No space left on device")

    assert "a\\x1b[2J cannot be used: Permission denied; run this" in describe_os_error(
        PermissionError(13, "Permission denied", "a\x1b[2J")
    )
    assert "b cannot be used: x" == describe_os_error(OSError(0, "x", b"b"))
    assert "No space left on device; free some space" == describe_os_error(full)
    assert "OSError" == describe_os_error(OSError())


def test_a_nul_in_a_setting_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A NUL character in the settings file is refused with its setting."""
    (tmp_path / "n.toml").write_text('data = "a\\u0000b"\n')

    code, words = run_command(f"--config {tmp_path / 'n.toml'} token list", monkeypatch, capsys)

    assert (1, True) == (code, "data contains a NUL character" in words)
