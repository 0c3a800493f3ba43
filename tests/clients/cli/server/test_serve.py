"""`nightsafe serve`: how it starts, and how it says that it does not."""

import socket
from pathlib import Path

import pytest
from tests.clients.wire.talk import Wire
from tests.server import Safe, Server, run


def refused(safe: Safe, *arguments: str) -> str:
    """What a server says that does not start: one line on stderr, exit code 1."""
    done = run("serve", "--data", str(safe.path), "--port", "0", *arguments, cwd=safe.path.parent)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    [line] = done.stderr.splitlines()
    return line


def test_the_line_it_prints(own_server: Server) -> None:
    """With --port 0 it takes a free port and says which, ready to be asked; its log is silent."""
    assert own_server.port > 0
    with Wire.to(own_server) as wire:
        assert [wire.ask("GET", path).status for path in ("/livez", "/readyz")] == [200, 200]
    assert own_server.stdout.read_text() == f"listening on http://127.0.0.1:{own_server.port}/client/v4\n"
    assert own_server.stderr.read_text() == ""


def test_it_listens_on_loopback_alone(own_server: Server) -> None:
    """Without --host no other address of the machine answers."""
    with pytest.raises(OSError, match="refused"), socket.create_connection(("127.0.0.2", own_server.port), 5):
        pass


def test_a_port_that_is_taken(safe: Safe) -> None:
    """By any other program: it is said, and the other program keeps it."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = refused(safe, "--port", str(port))

    assert (
        line == f"nightsafe: cannot listen on 127.0.0.1:{port}: Address already in use; give another --host or --port"
    )


def test_a_port_that_another_server_has(own_server: Server) -> None:
    """A second server on the same port is refused, though both could share it."""
    line = refused(own_server.safe, "--port", str(own_server.port))

    assert "Address already in use" in line


def test_an_address_of_another_machine(safe: Safe) -> None:
    """It cannot be listened on."""
    line = refused(safe, "--host", "192.0.2.1", "--plain-http")

    assert line.startswith("nightsafe: cannot listen on 192.0.2.1:0: ")


def test_no_safe(safe: Safe) -> None:
    """It says what to do."""
    line = refused(safe, "--data", "nowhere")

    assert line == "nightsafe: there is no safe in nowhere; create one with: nightsafe init"


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644, 0o660, 0o602])
def test_a_key_that_others_can_read(safe: Safe, mode: int) -> None:
    """The signing key is refused, with the command that mends it."""
    key = safe.path / "keys" / "signing-key.json"
    key.chmod(mode)

    line = refused(safe)

    assert line == f"nightsafe: {key}: has mode {mode:04o}; run: chmod 0600 on it"


@pytest.mark.parametrize("name", ["public-ring.json", "signing-key.json"])
@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"{}", b"\xff"])
def test_a_key_file_that_is_none(safe: Safe, name: str, content: bytes | None) -> None:
    """It is named, and none of what is in it is said."""
    path = safe.path / "keys" / name
    whole = path.read_text()
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)

    line = refused(safe)

    assert str(path) in line
    assert whole not in line


def test_a_database_that_is_none(safe: Safe) -> None:
    """A file that is no database is refused."""
    safe.database.write_bytes(b"no database at all" * 1000)

    assert refused(safe).startswith("nightsafe: ")


def test_a_limit_of_its_own(safe: Safe) -> None:
    """--max-variables is the limit that writes keep to."""
    with Server(safe, "--max-variables", "2") as server, Wire.to(server) as wire:
        wire.upload("script")
        answers = [wire.put("script", name) for name in "abc"]

    assert [answer.status for answer in answers] == [200, 200, 400]
    assert "exceeds the limit of 2" in answers[2].messages[0]


@pytest.mark.parametrize(("log_format", "start"), [("json", "{"), ("text", "2")])
def test_log_formats(safe: Safe, log_format: str, start: str) -> None:
    """A refused caller is one line of the log, with the address and no credential."""
    with Server(safe, "--log-format", log_format) as server, Wire(server.port) as wire:
        target = f"/client/v4/accounts/{safe.account_id}/workers/scripts"
        wire.ask("GET", target, credentials=[("Authorization", "Bearer a-bad-one")])
    [line] = server.stderr.read_text().splitlines()

    assert line.startswith(start)
    assert "127.0.0.1" in line
    assert "a-bad-one" not in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("init", "serve", "token", "account", "user", "--config")),
        (("init",), ("--data", "--account-id", "--email", "--json")),
        (("serve",), ("--data", "--host", "--port", "--max-variables", "--log-format", "NIGHTSAFE_PORT")),
        (("serve",), ("--tls-cert", "--tls-key", "--tls-client-ca", "--plain-http")),
        (("serve",), ("--rate-limit", "--rate-window", "--auth-failures")),
        (("token",), ("create", "list", "roll", "revoke")),
        (("account",), ("create", "list")),
        (("user",), ("create",)),
        (("user", "create"), ("--data", "--email", "--account-id", "--permission", "--service-key", "--json")),
        (("account", "create"), ("--data", "--account-id", "--name", "--email", "--json")),
        (("token", "create"), ("--data", "--account-id", "--name", "--expires-in", "--json")),
    ],
)
def test_help(tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    """Every command tells its options, and makes nothing."""
    for flag in ("--help", "-h"):
        done = run(*arguments, flag, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert [word for word in words if word not in done.stdout] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments", [("unknown",), ("serve", "--unknown"), ("serve", "--port", "65536"), ("token", "x")]
)
def test_mistakes(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """They are exit code 2 with a way to the help."""
    done = run(*arguments, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert "--help" in done.stderr


def test_failed_authentications(safe: Safe) -> None:
    """--auth-failures is how many an address may have in a minute, loopback included; who has a token is let in."""
    target = f"/client/v4/accounts/{safe.account_id}/workers/scripts"
    bad = [("Authorization", "Bearer nobody")]
    with Server(safe, "--auth-failures", "3") as server, Wire.to(server) as wire:
        failed = [wire.ask("GET", target, credentials=bad).status for _ in range(3)]
        after = [wire.ask("GET", target, credentials=bad), wire.ask("GET", target)]
        probe = wire.ask("GET", "/readyz")

    assert failed == [403, 403, 403]
    assert [answer.refusal for answer in after] == [(429, [10502]), (200, [])]
    assert 1 <= int(after[0].header("retry-after") or 0) <= 60
    assert probe.status == 200
    assert server.stderr.read_text().count('"throttled"') == 1


def test_failed_authentications_without_a_limit(safe: Safe) -> None:
    """0 takes any number."""
    target = f"/client/v4/accounts/{safe.account_id}/workers/scripts"
    with Server(safe, "--auth-failures", "0") as server, Wire.to(server) as wire:
        failed = {wire.ask("GET", target, credentials=[("Authorization", "Bearer no")]).status for _ in range(120)}
        good = wire.ask("GET", target).status

    assert (failed, good) == ({403}, 200)
