"""Audit sinks of a real server: each kind gets every entry, and no trouble of a sink reaches a request."""

import hashlib
import json
import re
import secrets
import signal
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.clients.audit_sinks.receivers import Endpoint, Received, SyslogServer
from tests.clients.tls.authority import Authority, Pair
from tests.clients.wire.talk import JSON, SCRIPTS, Wire
from tests.live.tools.running import until
from tests.server import Safe, Server, run

CANARY = f"canary-{secrets.token_hex(12)}"


def put(server: Server, *names: str) -> None:
    """Put secrets with the canary as their value into a script that exists afterwards."""
    with Wire.to(server) as wire:
        assert 200 == wire.upload("worker").status
        for name in names:
            body = json.dumps({"name": name, "text": CANARY, "type": "secret_text"}).encode()
            assert 200 == wire.ask("PUT", f"{SCRIPTS}/worker/secrets", body, [JSON]).status


def log_of(safe: Safe) -> list[dict[str, Any]]:
    """Return the audit log as lines should have it."""
    with closing(sqlite3.connect(safe.database)) as db:
        rows = db.execute("SELECT seq, lower(hex(leaf)), entry FROM audit ORDER BY seq").fetchall()
    return [{"seq": seq, "leaf": leaf, "entry": json.loads(entry)} for seq, leaf, entry in rows]


def wait_for_all(received: Received, safe: Safe) -> None:
    """Wait until a receiver has the whole log, each entry once and in order."""
    expected = log_of(safe)
    assert len(expected) > 3
    assert expected == received.until(lambda lines: len(lines) >= len(expected))


def events(server: Server, name: str) -> list[dict[str, Any]]:
    """Return the events of one name in a server's log."""
    lines = [json.loads(line) for line in server.stderr.read_text().splitlines()]
    return [event for event in lines if event["event"] == name]


def sinks_of(server: Server) -> list[dict[str, Any]]:
    """Return the figures of the sinks in the server's health."""
    with Wire.to(server) as wire:
        sinks: list[dict[str, Any]] = wire.ask("GET", "/readyz").result["audit_sinks"]
    return sinks


def test_a_file_gets_every_entry_and_no_value(safe: Safe, tmp_path: Path) -> None:
    """A file has every entry as a JSON line that its leaf hash covers, also after a restart, and has no value."""
    path = tmp_path / "audit.jsonl"
    server = Server(safe, "--audit-sink", path.as_uri())
    for name in ("A", "B"):
        with server:
            put(server, name)
    content = path.read_bytes()

    lines = content.splitlines()
    assert log_of(safe) == [json.loads(line) for line in lines]
    for line in lines:
        entry = line.partition(b',"entry":')[2][:-1]
        assert json.loads(line)["leaf"] == hashlib.sha256(b"\0" + entry).hexdigest()
    assert CANARY.encode() not in content
    assert 0o600 == path.stat().st_mode & 0o777


def test_a_file_is_rotated(safe: Safe, tmp_path: Path) -> None:
    """After a rename and SIGHUP the server, which cannot make files, continues in a new file of the old name."""
    path, old = tmp_path / "audit.jsonl", tmp_path / "audit.jsonl.1"
    with Server(safe, "--audit-sink", path.as_uri()) as server:
        put(server, "A")
        until(lambda: [0] == [sink["unsent"] for sink in sinks_of(server)])
        path.rename(old)
        server._process.send_signal(signal.SIGHUP)  # type: ignore[union-attr] # it runs
        until(lambda: grows(server, path))

    lines = (old.read_bytes() + path.read_bytes()).splitlines()
    assert log_of(safe) == [json.loads(line) for line in lines]


def grows(server: Server, path: Path) -> bool:
    """Write an entry; return whether the file exists once the entry is shipped."""
    put(server, "B")
    until(lambda: [0] == [sink["unsent"] for sink in sinks_of(server)])
    return path.exists()


def test_an_https_endpoint_gets_every_entry(safe: Safe, authority: Authority, pair: Pair, tmp_path: Path) -> None:
    """An endpoint gets JSON lines with the bearer token of the file, which is in no argument and no log."""
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text("a-token~of/the+endpoint==\n")
    with Endpoint(pair) as endpoint:
        options = ("--audit-sink-ca", str(authority.certificate), "--audit-sink-token", str(token))
        with Server(safe, "--audit-sink", endpoint.url, *options) as server:
            put(server, "A")
            wait_for_all(endpoint.received, safe)
            [sink] = sinks_of(server)
            assert sink["sink"].startswith("https-")
        assert [] == [line for line in endpoint.received.lines if CANARY.encode() in line]
    headers = endpoint.seen[0]
    assert "application/x-ndjson" == headers["content-type"]
    assert "Bearer a-token~of/the+endpoint==" == headers["authorization"]
    assert endpoint.url.split("/")[2] == headers["host"]
    assert "a-token" not in server.stderr.read_text()


def test_a_syslog_server_gets_every_entry(safe: Safe, authority: Authority, pair: Pair) -> None:
    """A syslog server gets RFC 5424 messages over TLS, framed by their lengths, with each entry as the text."""
    with SyslogServer(pair) as syslog:
        with Server(safe, "--audit-sink", syslog.url, "--audit-sink-ca", str(authority.certificate)) as server:
            put(server, "A")
            wait_for_all(syslog.received, safe)
        assert [] == [line for line in syslog.received.lines if CANARY.encode() in line]
    form = (
        rf"<110>1 \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{6}}Z {re.escape(socket.gethostname())} nightsafe \d+ audit - "
    )
    for header in syslog.headers:
        assert re.fullmatch(form, header), header


def test_several_sinks_are_independent(safe: Safe, tmp_path: Path) -> None:
    """Each sink has its own position: a plain one of this machine and a file get everything while another refuses."""
    path = tmp_path / "audit.jsonl"
    with Endpoint() as refusing, SyslogServer() as syslog:
        refusing.status = 503
        urls = (refusing.url, syslog.url, path.as_uri())
        with Server(safe, *(word for url in urls for word in ("--audit-sink", url))) as server:
            put(server, "A")
            wait_for_all(syslog.received, safe)
            until(lambda: len(path.read_bytes().splitlines()) == len(log_of(safe)))
            expected = {"http": len(log_of(safe)), "syslog+tcp": 0, "file": 0}
            # A sink that has received everything has not answered yet.
            until(lambda: expected == {one["sink"].split("-")[0]: one["unsent"] for one in sinks_of(server)})
            assert ["the endpoint answered with status 503"] == [
                event["reason"] for event in events(server, "audit_sink.failed")
            ]
            refusing.status = 200
            wait_for_all(refusing.received, safe)


def test_sinks_come_from_the_environment_and_the_settings_file(safe: Safe, tmp_path: Path) -> None:
    """The variable takes several URLs with spaces between them, and a settings file takes a list."""
    urls = [(tmp_path / f"{name}.jsonl").as_uri() for name in "abcd"]
    (tmp_path / "settings.toml").write_text(f"audit_sink = {json.dumps(urls[2:])}\n")
    with Server(safe, environ={"NIGHTSAFE_AUDIT_SINK": " ".join(urls[:2])}) as server:
        assert [2, 2] == [len(sinks_of(server)), len(events(server, "audit_sink.added"))]
    with Server(safe, environ={"NIGHTSAFE_CONFIG": str(tmp_path / "settings.toml")}) as server:
        assert 2 == len(sinks_of(server))
    assert ["a.jsonl", "b.jsonl", "c.jsonl", "d.jsonl"] == sorted(path.name for path in tmp_path.glob("*.jsonl"))


def test_a_killed_server_skips_no_entry(safe: Safe, authority: Authority, pair: Pair) -> None:
    """If the server is killed between a batch and its position, it repeats the batch and skips no entry."""
    with Endpoint(pair) as endpoint:
        server = Server(safe, "--audit-sink", endpoint.url, "--audit-sink-ca", str(authority.certificate))
        server.start()
        put(server, "A")
        endpoint.may_answer.clear()
        endpoint.asked.clear()
        put(server, "B")
        assert endpoint.asked.wait(60)
        server.kill()
        endpoint.may_answer.set()
        with server:
            put(server, "C")
            expected = log_of(safe)
            last = expected[-1]
            got = endpoint.received.until(lambda lines: last in lines)
    distinct = {line["seq"]: line for line in got}
    assert expected == [distinct[number] for number in sorted(distinct)]
    assert len(got) > len(distinct)


def test_a_hanging_sink_delays_no_write(safe: Safe) -> None:
    """While an endpoint does not answer, a hundred writes succeed and the probe counts them."""
    with Endpoint() as endpoint:
        endpoint.may_answer.clear()
        with Server(safe, "--audit-sink", endpoint.url) as server:
            assert endpoint.asked.wait(60)
            put(server, *(f"S{number}" for number in range(100)))
            [sink] = sinks_of(server)
            assert len(log_of(safe)) == sink["unsent"] > 100
            assert sink["oldest_unsent_seconds"] > 0
            endpoint.may_answer.set()
            expected = log_of(safe)
            endpoint.received.until(lambda lines: all(line in lines for line in expected))


def test_a_server_of_another_authority_gets_nothing(safe: Safe, stranger: Authority, pair: Pair) -> None:
    """A sink whose certificate is not trusted gets nothing; the log says why, and requests are served."""
    with Endpoint(pair) as endpoint, SyslogServer(pair) as syslog:
        options = ("--audit-sink", syslog.url, "--audit-sink-ca", str(stranger.certificate))
        with Server(safe, "--audit-sink", endpoint.url, *options) as server:
            put(server, "A")
            failures = until(lambda: len(found := events(server, "audit_sink.failed")) > 1 and found)
    assert all("its certificate is not valid" in event["reason"] for event in failures)
    assert ([], []) == (endpoint.seen, syslog.received.lines)


def refused(safe: Safe, *arguments: str) -> tuple[int, str]:
    """Return the exit code and the last line on standard error of a server that does not start."""
    done = run("serve", "--data", str(safe.path), "--port", "0", *arguments, cwd=safe.path.parent)
    assert "" == done.stdout
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://logs.example/", "without TLS the audit log can be read on the way; give https://"),
        ("https://me:canary@logs.example/", "--audit-sink-token"),
        ("log.jsonl", "file:///path/to/log.jsonl"),
    ],
)
def test_a_bad_url_is_a_usage_error(safe: Safe, url: str, words: str) -> None:
    """A URL that cannot be used ends the command with exit code 2, with words and without a credential."""
    code, line = refused(safe, "--audit-sink", url)

    assert 2 == code
    assert words in line
    assert "canary" not in line


def test_sinks_that_cannot_be_used_stop_the_start(safe: Safe, tmp_path: Path) -> None:
    """An unsafe file, a useless option, a bad token or a bad CA file is refused by name with exit code 1."""
    readable = tmp_path / "readable"
    readable.write_text("x")
    readable.chmod(0o644)
    twice = ("--audit-sink", "https://a.example", "--audit-sink", "https://b.example")
    for arguments, words in {
        ("--audit-sink", readable.as_uri()): f"has mode 0644; run: chmod 0600 {readable}",
        ("--audit-sink", (safe.path / "x").as_uri()): "is inside the data directory",
        ("--audit-sink", "https://a.example", "--audit-sink-token", str(readable)): "can be read by others",
        ("--audit-sink", "https://a.example", "--audit-sink-token", "absent"): "absent of --audit-sink-token cannot",
        (*twice, "--audit-sink-token", str(readable)): "needs exactly one --audit-sink with https://",
        ("--audit-sink", "https://a.example", "--audit-sink-ca", str(readable)): "has no certificate in PEM form",
        ("--audit-sink", "https://a.example", "--audit-sink-ca", "absent"): "absent: No such file or directory",
        ("--audit-sink-ca", str(readable)): "needs an --audit-sink with https:// or syslog+tls://",
        ("--audit-sink-token", str(readable)): "needs exactly one --audit-sink with https://",
    }.items():
        assert (1, True) == ((told := refused(safe, *arguments))[0], words in told[1]), (arguments, told)


def test_a_token_file_must_have_one_token(safe: Safe, tmp_path: Path) -> None:
    """A file whose content is not one bearer token is refused, and its content is not repeated."""
    token = tmp_path / "token"
    token.touch(mode=0o600)
    for content in ("", "canary one", "canary\nx: y", "cänary"):
        token.write_text(content)
        code, line = refused(safe, "--audit-sink", "https://a.example", "--audit-sink-token", str(token))
        assert (1, True, False) == (code, "does not contain a bearer token" in line, "canary" in line)


def test_an_absent_name_is_reported(safe: Safe) -> None:
    """A host whose name cannot be resolved is reported in the log, and the server serves."""
    with Server(safe, "--audit-sink", "https://absent.invalid/") as server:
        put(server, "A")
        failure = until(lambda: events(server, "audit_sink.failed"))[0]
    assert "the name of its host cannot be resolved" == failure["reason"]


def test_a_restore_repeats_nothing_and_loses_nothing(safe: Safe, tmp_path: Path) -> None:
    """After `restore --force` a sink gets the entries of the restored log from the backup on, each once."""
    path, backup, data = tmp_path / "audit.jsonl", tmp_path / "safe.tar", ("--data", str(safe.path))
    server = Server(safe, "--audit-sink", path.as_uri())
    with server:
        put(server, "A")
    assert 0 == run("backup", str(backup), *data, cwd=tmp_path).returncode
    shared = len(log_of(safe))
    with server:
        put(server, "B")
    before = log_of(safe)
    done = run("restore", str(backup), "--force", "--json", *data, cwd=tmp_path)
    assert 0 == done.returncode, done.stderr
    assert [f"audit-sink-{hashlib.sha256(path.as_uri().encode()).hexdigest()[:16]}"] == json.loads(done.stdout)[
        "carried_over"
    ]
    with server:
        put(server, "C")

    assert before + log_of(safe)[shared:] == [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [] == events(server, "audit_sink.started_over")
