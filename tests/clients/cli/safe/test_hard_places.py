"""Commands under bad conditions: existing folders, outputs that fail, host names that do not resolve."""

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.clients.wire.talk import SCRIPTS, Wire
from tests.effort import chosen
from tests.server import Safe, Server, make_safe, run


def new_safe_in(folder: Path, name: str) -> Safe:
    """Create a new safe in a folder of its own."""
    (folder / name).mkdir()
    return make_safe(folder / name)


@pytest.mark.parametrize("entry", [None, "lost+found"])
def test_init_fills_an_empty_folder(tmp_path: Path, entry: str | None) -> None:
    """`init` creates the safe in an existing empty folder, such as a volume, and leaves nothing else there."""
    folder = tmp_path / "volume"
    folder.mkdir()
    if entry:
        (folder / entry).mkdir()

    done = run("init", "--data", str(folder), cwd=tmp_path)

    assert (0, "") == (done.returncode, done.stderr)
    assert {"delivery", "keys", "nightsafe.db"} == {path.name for path in folder.iterdir()} - {entry}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_init_leaves_nothing_after_sigterm(tmp_path: Path) -> None:
    """After SIGTERM `init` removes everything that it created, including the private ring."""
    for _ in range(chosen(5, 1)):
        code = "import os, signal, runpy, sys; from nightsafe.sealing.signing_key import SigningKey as K;"
        code += "K.save = lambda *a, **k: os.kill(os.getpid(), signal.SIGTERM); sys.argv = ['nightsafe', 'init'];"
        code += "runpy.run_module('nightsafe', run_name='__main__')"
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=False)

        assert (128 + signal.SIGTERM, []) == (done.returncode, list(tmp_path.iterdir()))


def test_init_creates_nothing_if_it_cannot_print_credentials(tmp_path: Path) -> None:
    """If `init` cannot print the credentials, it creates nothing."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "nightsafe", "init"],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )

    assert done.returncode == 1
    assert b"the credentials cannot be printed" in done.stderr
    assert b"Traceback" not in done.stderr
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ("token", "create", "--expires-in", "9999999999999999"),
        ("token", "create", "--name", os.fsdecode(b"\xff\xfe")),
        ("init", "--data", "other", "--email", os.fsdecode(b"\xff@b")),
    ],
)
def test_arguments_that_cannot_be_stored_are_usage_errors(safe: Safe, arguments: tuple[str, ...]) -> None:
    """Such arguments are refused as usage errors, without a traceback."""
    done = run(*arguments, cwd=safe.path.parent)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_an_unknown_setting_is_an_error(safe: Safe) -> None:
    """An unknown setting in the file is an error that names it."""
    (safe.path.parent / "nightsafe.toml").write_text('dta = "elsewhere"\n')
    done = run("token", "create", "--all-access", cwd=safe.path.parent)
    (safe.path.parent / "nightsafe.toml").unlink()

    assert (1, "Error: nightsafe.toml has unknown settings: dta\n") == (done.returncode, done.stderr)


def test_serve_refuses_a_database_that_others_can_read(tmp_path: Path) -> None:
    """`serve` refuses such a database, as it refuses such a key file, and names the command that fixes it."""
    safe = new_safe_in(tmp_path, "open")
    (safe.path / "nightsafe.db").chmod(0o644)
    done = run("serve", "--data", str(safe.path), "--port", "0", cwd=tmp_path)

    assert done.returncode == 1
    assert f"chmod 600 {safe.path}/nightsafe.db" in done.stderr


def test_serve_refuses_the_signing_key_of_another_safe(tmp_path: Path) -> None:
    """`serve` does not start, since no delivery process would accept its signatures."""
    ours, theirs = new_safe_in(tmp_path, "ours"), new_safe_in(tmp_path, "theirs")
    (ours.path / "keys" / "signing-key.json").write_bytes((theirs.path / "keys" / "signing-key.json").read_bytes())
    done = run("serve", "--data", str(ours.path), "--port", "0", cwd=tmp_path)

    assert done.returncode == 1
    assert "delivery would refuse every value" in done.stderr


def test_serve_resolves_host_names(tmp_path: Path) -> None:
    """`serve --host` resolves a name; an unknown name is refused in one line."""
    safe = new_safe_in(tmp_path, "safe")
    done = run(
        "serve", "--data", str(safe.path), "--host", "no such host", "--plain-http", "--port", "0", cwd=tmp_path
    )

    assert done.returncode == 1
    assert ["nightsafe: cannot listen on no such host:0"] == [line[:42] for line in done.stderr.splitlines()]
    with Server(safe, "--host", "localhost") as server, Wire(server.port, []) as wire:
        assert wire.ask("GET", "/livez").status == 200


def test_an_unread_log_does_not_block_the_server(tmp_path: Path) -> None:
    """The server answers even if its standard error is a full pipe, or a broken one."""
    safe = new_safe_in(tmp_path, "safe")
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "nightsafe", "serve", "--data", str(safe.path), "--port", "0", "--auth-failures", "0"],
        stdout=subprocess.PIPE,
        stderr=writer,
    )
    os.close(writer)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().split(b":")[2].split(b"/")[0])
        with Wire(port, [("Authorization", "Bearer unknown")]) as wire:
            for _ in range(1000):
                assert wire.ask("GET", SCRIPTS).status == 403
            os.close(reader)
            assert wire.ask("GET", SCRIPTS).status == 403
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        if process.stdout:
            process.stdout.close()


def test_two_servers_never_share_a_port(tmp_path: Path) -> None:
    """When several servers start at once for one port, one serves and the others report that it is in use."""
    safes = [new_safe_in(tmp_path, name) for name in ("a", "b", "c")]
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "nightsafe", "serve", "--port", str(port), "--data"]
    started = [
        subprocess.Popen([*command, str(safe.path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) for safe in safes
    ]
    lines = [process.stdout.readline() for process in started if process.stdout]
    for process in started:
        process.send_signal(signal.SIGTERM)
    errors = [process.communicate(timeout=60)[1] for process in started]

    assert sorted(bool(line) for line in lines) == [False, False, True]
    assert sorted(b"Address already in use" in error for error in errors) == [False, True, True]
