"""A setting comes from its flag, else from its `NIGHTSAFE_*` variable, else from the file."""

import json
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.server import Safe, run

ENVIRON = "NIGHTSAFE_PORT"


def chosen_port(safe: Safe, *arguments: str, **environ: str) -> int:
    """Return the port that `serve` chooses; since every offered port is taken, the refusal names it."""
    done = run(*arguments, cwd=safe.path.parent, environ=environ)
    assert done.returncode == 1
    return int(done.stderr.removeprefix("nightsafe: cannot listen on 127.0.0.1:").split(":")[0])


def test_flags_precede_variables_and_files(safe: Safe) -> None:
    """Flag, variable and file apply in this order; the settings file itself is found in the same order."""
    folder, data = safe.path.parent, ("--data", str(safe.path))
    with ExitStack() as stack:
        ports = [stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(4)]
        flag, variable, named, default = map(str, ports)
        own = folder / "config" / "nightsafe"
        own.mkdir(parents=True)
        (own / "nightsafe.toml").write_text(f"port = {default}\n")
        (folder / "other.toml").write_text(f"port = {named}\n")
        config = ("--config", "other.toml")

        chosen = [
            chosen_port(safe, *config, "serve", *data, "--port", flag, **{ENVIRON: variable}),
            chosen_port(safe, *config, "serve", *data, **{ENVIRON: variable}),
            chosen_port(safe, *config, "serve", *data),
            chosen_port(safe, "serve", *data, NIGHTSAFE_CONFIG="other.toml"),
            chosen_port(safe, "serve", *data, XDG_CONFIG_HOME=str(folder / "config")),
        ]

    assert [*ports[:3], ports[2], ports[3]] == chosen


@pytest.mark.parametrize(
    "command", [("init",), ("serve",), ("token", "create", "--all-access"), ("token", "list"), ("account", "list")]
)
def test_every_command_finds_its_data_directory(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Every command accepts the data directory by flag, variable and file; its error names the chosen one."""
    (tmp_path / "file.toml").write_text('data = "by-file"\n')
    if command == ("init",):
        for name in ("by-flag", "by-variable", "by-file"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "taken").touch()

    errors = [
        run(*command, "--data", "by-flag", cwd=tmp_path, environ={"NIGHTSAFE_DATA": "by-variable"}),
        run(*command, cwd=tmp_path, environ={"NIGHTSAFE_DATA": "by-variable"}),
        run("--config", "file.toml", *command, cwd=tmp_path),
    ]

    assert [done.returncode for done in errors] == [1, 1, 1]
    for name, done in zip(("by-flag", "by-variable", "by-file"), errors, strict=True):
        assert f" {name} " in done.stderr.replace(";", " ")


def test_token_create_uses_the_data_directory_of_the_file(safe: Safe) -> None:
    """The data directory of the settings file is used, not the one in the default place."""
    folder = safe.path.parent
    run("init", cwd=folder)
    (folder / "file.toml").write_text('data = "safe"\n')

    done = run("--config", "file.toml", "token", "create", "--all-access", "--json", cwd=folder)

    assert json.loads(done.stdout)["account_id"] == safe.account_id


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (None, 1, "other.toml cannot be read"),
        (b"port = ", 1, "other.toml is not TOML"),
        (b"\xff", 1, "other.toml is not TOML"),
        (b'port = "x"', 2, "--port"),
        (b"port = 65536", 2, "--port"),
        (b'log_format = "xml"', 2, "--log-format"),
    ],
)
def test_an_invalid_settings_file_is_refused(safe: Safe, content: bytes | None, code: int, words: str) -> None:
    """The message names the file or the setting, and nothing is served."""
    if content is not None:
        (safe.path.parent / "other.toml").write_bytes(content)

    done = run("--config", "other.toml", "serve", "--data", str(safe.path), cwd=safe.path.parent)

    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
