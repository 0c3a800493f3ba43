"""`nightsafe serve`: its start, and its refusals to start."""

import socket
from pathlib import Path

import pytest
from tests.clients.wire.talk import Wire
from tests.server import Safe, Server, make_safe, run


def refused(safe: Safe, *arguments: str) -> str:
    """Return the one line that a server prints on standard error when it does not start."""
    done = run("serve", "--data", str(safe.path), "--port", "0", *arguments, cwd=safe.path.parent)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    [line] = done.stderr.splitlines()
    return line


def test_serve_prints_its_address_when_ready(own_server: Server) -> None:
    """With `--port 0` the server chooses a free port and prints it when it is ready; it logs nothing."""
    assert own_server.port > 0
    with Wire.to(own_server) as wire:
        assert [wire.ask("GET", path).status for path in ("/livez", "/readyz")] == [200, 200]
    assert own_server.stdout.read_text() == f"listening on http://127.0.0.1:{own_server.port}/client/v4\n"
    assert own_server.stderr.read_text() == ""


def test_serve_listens_on_loopback_only(own_server: Server) -> None:
    """Without `--host` no other address of the machine answers."""
    with pytest.raises(OSError, match="refused"), socket.create_connection(("127.0.0.2", own_server.port), 5):
        pass


def test_a_port_of_another_program_is_reported(safe: Safe) -> None:
    """`serve` reports a port that another program uses, and does not take it over."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = refused(safe, "--port", str(port))

    assert (
        line == f"nightsafe: cannot listen on 127.0.0.1:{port}: Address already in use; give another --host or --port"
    )


def test_a_port_of_another_server_is_reported(own_server: Server) -> None:
    """A second server on the same port is refused, though the kernel would let both share it."""
    line = refused(own_server.safe, "--port", str(own_server.port))

    assert "Address already in use" in line


def test_serve_cannot_listen_on_a_foreign_address(safe: Safe) -> None:
    """`serve` cannot listen on an address of another machine."""
    line = refused(safe, "--host", "192.0.2.1", "--plain-http")

    assert line.startswith("nightsafe: cannot listen on 192.0.2.1:0: ")


def test_serve_without_a_safe_gives_advice(safe: Safe) -> None:
    """The message names the command that creates a safe."""
    line = refused(safe, "--data", "nowhere")

    assert line == "nightsafe: there is no safe in nowhere; create one with: nightsafe init"


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644, 0o660, 0o602])
def test_a_signing_key_that_others_can_read_is_refused(safe: Safe, mode: int) -> None:
    """A signing key that others can read or write is refused with the command that fixes it."""
    key = safe.path / "keys" / "signing-key.json"
    key.chmod(mode)

    line = refused(safe)

    assert line == f"nightsafe: {key}: has mode {mode:04o}; run: chmod {mode & 0o700:04o} {key}"


@pytest.mark.parametrize("name", ["public-ring.json", "signing-key.json"])
@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"{}", b"\xff"])
def test_an_invalid_key_file_is_named_but_not_shown(safe: Safe, name: str, content: bytes | None) -> None:
    """The message names the file and repeats nothing of its content."""
    path = safe.path / "keys" / name
    whole = path.read_text()
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)

    line = refused(safe)

    assert str(path) in line
    assert whole not in line


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("public-ring.json",), "it belongs to another safe"),
        (("identity-key.json",), "the key belongs to another safe"),
        (("signing-key.json", "verify-keys.json"), "the key files belong to another safe"),
    ],
)
def test_key_files_of_another_safe_are_refused(own_server: Server, names: tuple[str, ...], words: str) -> None:
    """With the ring or the signing keys of another safe, nothing is served: no value could be opened or verified."""
    own_server.stop()
    folder = own_server.safe.path.parent / "other"
    folder.mkdir()
    other = make_safe(folder)
    with Server(other):
        pass
    keys, before = own_server.safe.path / "keys", {}
    for name in names:
        before[name] = (keys / name).read_bytes()
        (keys / name).write_bytes((other.path / "keys" / name).read_bytes())

    data = ("--data", str(own_server.safe.path))
    done = run("serve", *data, "--port", "0", cwd=folder)
    assert (1, "") == (done.returncode, done.stdout)
    assert words in done.stderr.splitlines()[-1]
    for name, content in before.items():
        (keys / name).write_bytes(content)
    own_server.start()


def test_a_file_that_is_not_a_database_is_refused(safe: Safe) -> None:
    """A file that is not a database is refused."""
    safe.database.write_bytes(b"no database at all" * 1000)

    assert refused(safe).startswith("nightsafe: ")


def test_max_variables_sets_the_limit_of_bindings(safe: Safe) -> None:
    """`--max-variables` limits the bindings of a script."""
    with Server(safe, "--max-variables", "2") as server, Wire.to(server) as wire:
        wire.upload("script")
        answers = [wire.put("script", name) for name in "abc"]

    assert [answer.status for answer in answers] == [200, 200, 400]
    assert "exceeds the limit of 2" in answers[2].messages[0]


def test_audit_reads_records_reads_up_to_the_end(safe: Safe) -> None:
    """With `--audit-reads`, or its variable, each read is in the log; the last ones are written at the end."""
    target = f"/client/v4/accounts/{safe.account_id}"
    with Server(safe, "--audit-reads") as server, Wire.to(server) as wire:
        wire.upload("script")
        wire.put("script", "KEY")
        for _ in range(5):
            assert wire.ask("GET", f"{target}/workers/scripts/script/secrets/KEY").status == 200
    with Server(safe, environ={"NIGHTSAFE_AUDIT_READS": "1"}) as server, Wire.to(server) as wire:
        query = "since=2020-01-01&before=9999-01-01&action_type=view"
        views = wire.ask("GET", f"{target}/logs/audit?{query}").result

    assert [entry["resource"]["id"] for entry in views] == ["script/KEY"] * 5


@pytest.mark.parametrize(("log_format", "start"), [("json", "{"), ("text", "2")])
def test_a_refused_request_is_one_log_line(safe: Safe, log_format: str, start: str) -> None:
    """A refused request is one line of the log, with the client's address and no credential."""
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
        (("serve",), ("--rate-limit", "--rate-window", "--auth-failures", "--audit-reads")),
        (("token",), ("create", "list", "roll", "revoke")),
        (("account",), ("create", "list")),
        (("user",), ("create",)),
        (("user", "create"), ("--data", "--email", "--account-id", "--permission", "--service-key", "--json")),
        (("account", "create"), ("--data", "--account-id", "--name", "--email", "--json")),
        (("token", "create"), ("--data", "--account-id", "--name", "--expires-in", "--json")),
    ],
)
def test_every_command_lists_its_options(tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    """Every command lists its options and creates nothing."""
    for flag in ("--help", "-h"):
        done = run(*arguments, flag, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert [word for word in words if word not in done.stdout] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments", [("unknown",), ("serve", "--unknown"), ("serve", "--port", "65536"), ("token", "x")]
)
def test_usage_errors_exit_with_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Usage errors exit with 2 and mention `--help`."""
    done = run(*arguments, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert "--help" in done.stderr


def test_auth_failures_limits_failed_authentications(safe: Safe) -> None:
    """`--auth-failures` limits failures per address and minute, also on loopback; a valid token still works."""
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


def test_auth_failures_0_sets_no_limit(safe: Safe) -> None:
    """`--auth-failures 0` sets no limit."""
    target = f"/client/v4/accounts/{safe.account_id}/workers/scripts"
    with Server(safe, "--auth-failures", "0") as server, Wire.to(server) as wire:
        failed = {wire.ask("GET", target, credentials=[("Authorization", "Bearer no")]).status for _ in range(120)}
        good = wire.ask("GET", target).status

    assert (failed, good) == ({403}, 200)
