"""Commands in places where things go wrong: empty folders that are there, deaf outputs, names that do not resolve."""

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.clients.wire.talk import SCRIPTS, Wire
from tests.server import Safe, Server, make_safe, run


def a_safe(folder: Path, name: str) -> Safe:
    """A new safe in a folder of its own."""
    (folder / name).mkdir()
    return make_safe(folder / name)


@pytest.mark.parametrize("entry", [None, "lost+found"])
def test_init_fills_an_empty_folder(tmp_path: Path, entry: str | None) -> None:
    """A folder that is there and empty, as a volume is, gets the safe in it; nothing else is left there."""
    folder = tmp_path / "volume"
    folder.mkdir()
    if entry:
        (folder / entry).mkdir()

    done = run("init", "--data", str(folder), cwd=tmp_path)

    assert (0, "") == (done.returncode, done.stderr)
    assert {"delivery", "keys", "nightsafe.db"} == {path.name for path in folder.iterdir()} - {entry}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_init_that_is_ended_leaves_nothing(tmp_path: Path) -> None:
    """SIGTERM while it works removes what was begun: no private ring lies about."""
    for _ in range(5):
        code = "import os, signal, runpy, sys; from nightsafe.sealing.signing_key import SigningKey as K;"
        code += "K.save = lambda *a, **k: os.kill(os.getpid(), signal.SIGTERM); sys.argv = ['nightsafe', 'init'];"
        code += "runpy.run_module('nightsafe', run_name='__main__')"
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=False)

        assert (128 + signal.SIGTERM, []) == (done.returncode, list(tmp_path.iterdir()))


def test_init_that_cannot_show_its_credentials_makes_nothing(tmp_path: Path) -> None:
    """They are shown once: there is no safe whose credentials nobody has, nor any part of it."""
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
def test_arguments_that_no_store_could_hold(safe: Safe, arguments: tuple[str, ...]) -> None:
    """They are refused as a wrong command line, not by a traceback."""
    done = run(*arguments, cwd=safe.path.parent)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_setting_that_is_not_known(safe: Safe) -> None:
    """A misspelt setting in the file is named, not passed over."""
    (safe.path.parent / "nightsafe.toml").write_text('dta = "elsewhere"\n')
    done = run("token", "create", "--all-access", cwd=safe.path.parent)
    (safe.path.parent / "nightsafe.toml").unlink()

    assert (1, "Error: nightsafe.toml has unknown settings: dta\n") == (done.returncode, done.stderr)


def test_a_database_that_others_can_read(tmp_path: Path) -> None:
    """Serving refuses it as it refuses such a key file, and says what to run."""
    safe = a_safe(tmp_path, "open")
    (safe.path / "nightsafe.db").chmod(0o644)
    done = run("serve", "--data", str(safe.path), "--port", "0", cwd=tmp_path)

    assert done.returncode == 1
    assert f"chmod 600 {safe.path}/nightsafe.db" in done.stderr


def test_a_signing_key_of_another_safe(tmp_path: Path) -> None:
    """What it signs no delivery side would open, so serving does not begin."""
    ours, theirs = a_safe(tmp_path, "ours"), a_safe(tmp_path, "theirs")
    (ours.path / "keys" / "signing-key.json").write_bytes((theirs.path / "keys" / "signing-key.json").read_bytes())
    done = run("serve", "--data", str(ours.path), "--port", "0", cwd=tmp_path)

    assert done.returncode == 1
    assert "delivery would refuse every value" in done.stderr


def test_serving_by_name(tmp_path: Path) -> None:
    """A host name is resolved; one that means nothing is refused in one line."""
    safe = a_safe(tmp_path, "safe")
    done = run(
        "serve", "--data", str(safe.path), "--host", "no such host", "--plain-http", "--port", "0", cwd=tmp_path
    )

    assert done.returncode == 1
    assert ["nightsafe: cannot listen on no such host:0"] == [line[:42] for line in done.stderr.splitlines()]
    with Server(safe, "--host", "localhost") as server, Wire(server.port, []) as wire:
        assert wire.ask("GET", "/livez").status == 200


def test_a_log_that_nobody_reads_hinders_nobody(tmp_path: Path) -> None:
    """Refusals are answered although stderr is a pipe that is full, and then one that is broken."""
    safe = a_safe(tmp_path, "safe")
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
    """Of servers that are started at the same time for one port, one serves and the others say why not."""
    safes = [a_safe(tmp_path, name) for name in ("a", "b", "c")]
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
