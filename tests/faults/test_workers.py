"""A server with two API processes: one is killed amid many writes, and what each does, the other knows."""

import json
import os
import shutil
import signal
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import msgspec
import pytest
from tests import workers
from tests.clients.tls.authority import Authority
from tests.clients.tokens import READ, policy
from tests.clients.wire.talk import SCRIPTS, Wire
from tests.effort import chosen
from tests.faults.test_server_kill import SECONDS, Tally, Writer, check_database, opener_of, settle, values
from tests.live.process.test_hangup import shown
from tests.live.tools.running import alive, children, events, until
from tests.server import ACCOUNT, Safe, Server, run

WRITERS = 64
KILLS = chosen(thorough=6, quick=2)
TOKENS = f"/client/v4/accounts/{ACCOUNT}/tokens"
SECRET = b'{"name":"late","text":"a value","type":"secret_text"}'


@pytest.fixture(scope="module")
def two(new_safe: Safe, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a server with two API processes, which several tests share."""
    path = tmp_path_factory.mktemp("two") / "safe"
    shutil.copytree(new_safe.path, path)
    with Server(msgspec.structs.replace(new_safe, path=path), "--workers", "2") as server:
        yield server


def test_a_killed_process_loses_no_acknowledged_write(safe: Safe) -> None:
    """When one of two API processes is killed amid 64 writers, the other goes on and no acknowledged write is lost.

    Any other write is stored as a whole or not at all. The killed process is restarted, and no write fails because
    of the other process's writes.
    """
    opener, writers = opener_of(safe), [Writer(number) for number in range(WRITERS)]
    with Server(safe, "--workers", "2", "--max-variables", "1000") as server:
        with Wire.to(server) as wire:
            assert [wire.upload(f"script-{number}").status for number in range(2)] == [200, 200]
            wire.upload("other")
        for turn in range(KILLS):
            _kill_one(server, writers, workers.pids(server)[turn % 2])
            settle(writers, values(safe, opener))
        assert ["signal 9"] * KILLS == [event["reason"] for event in events(server, "api.ended")]
    check_database(safe, writers, kills=0, more=KILLS)


def _kill_one(server: Server, writers: list[Writer], victim: int) -> None:
    """Kill an API process amid writes. The other goes on, also with a quarter of the writers that connect later."""
    first, later = writers[: WRITERS * 3 // 4], writers[WRITERS * 3 // 4 :]
    [other] = {*workers.pids(server)} - {victim}
    tallies = before, more = Tally(200), Tally(600)
    with workers.wire_to(server, other) as wire, ThreadPoolExecutor(WRITERS) as pool:
        storms = [pool.submit(writer.storm, server, *tallies) for writer in first]
        try:
            assert before.reached.wait(SECONDS)
            os.kill(victim, signal.SIGKILL)
            storms += [pool.submit(writer.storm, server, *tallies) for writer in later]
            assert 200 == wire.put("other", "S").status
            assert more.reached.wait(SECONDS)
            until(partial(workers.are_two_without, server, victim))
        finally:
            more.over.set()
        for storm in storms:
            storm.result(SECONDS)


def test_a_token_revoked_at_one_process_is_refused_by_the_other(two: Server) -> None:
    """A token that one API process has revoked is refused by the other at the next request."""
    with _each(two) as (first, second):
        body = {"name": "reader", "policies": [policy(READ, account_id=ACCOUNT)]}
        token = first.send("POST", TOKENS, body).result
        reader = [("Authorization", f"Bearer {token['value']}")]
        statuses = [wire.ask("GET", SCRIPTS, credentials=reader).status for wire in (first, second, second)]
        assert 200 == first.ask("DELETE", f"{TOKENS}/{token['id']}").status
        statuses.append(second.ask("GET", SCRIPTS, credentials=reader).status)

    assert [200, 200, 200, 403] == statuses


def test_each_process_reads_the_other_ones_writes(two: Server) -> None:
    """A write that one API process has acknowledged is in the next answer of the other."""
    with _each(two) as (first, second):
        first.upload("script")
        for number in range(50):
            writer, reader = (first, second) if number % 2 else (second, first)
            name = f"S{number}"
            assert 200 == writer.put("script", name).status
            assert 200 == reader.ask("GET", f"{SCRIPTS}/script/secrets/{name}").status


@pytest.mark.thorough
def test_limits_are_shared_among_the_processes(safe: Safe) -> None:
    """Each of two API processes allows half of the requests of a credential, rounded up: here four."""
    with Server(safe, "--workers", "2", "--rate-limit", "7") as server, _each(server) as (first, second):
        answers = [[wire.ask("GET", SCRIPTS) for _ in range(4)] for wire in (first, second)]  # one came before

    assert [[200, 200, 200, 429]] * 2 == [[answer.status for answer in part] for part in answers]


def test_one_line_says_where_the_processes_listen(two: Server) -> None:
    """The address is printed once and is in the data directory."""
    assert two.stdout.read_text() == f"listening on {two.base_url}\n"
    assert (two.safe.path / "address").read_text() == two.base_url
    assert 2 == len(workers.pids(two))


@pytest.mark.thorough
def test_sigterm_finishes_the_requests_of_every_process(safe: Safe) -> None:
    """After SIGTERM each API process finishes its open requests, and the server exits with 0."""
    server = Server(safe, "--workers", "2")
    server.start()
    with _each(server) as wires:
        wires[0].upload("script")
        for wire in wires:
            wire.begin("PUT", f"{SCRIPTS}/script/secrets", len(SECRET), [_authorization(safe)])
            wire.push(SECRET[:20])
        server.terminate()
        until(lambda: _refuses(server.port))
        for wire in wires:
            wire.push(SECRET[20:])
        assert [200, 200] == [wire.answer("PUT").status for wire in wires]

    assert 0 == server.wait()


def test_sighup_reaches_every_process(two: Server) -> None:
    """After SIGHUP each API process writes its log to the file that is at the old path now."""
    before = two.stderr.rename(two.stderr.with_name("rotated.log"))
    os.kill(two.pid, signal.SIGHUP)
    bad = [("Authorization", "Bearer a-bad-one")]
    with _each(two) as wires:
        for wire in wires:
            seen = len(_lines(two))

            def is_logged(wire: Wire = wire, seen: int = seen) -> bool:
                """Be refused, and return whether that is in the new file."""
                assert 403 == wire.ask("GET", SCRIPTS, credentials=bad).status
                return len(_lines(two)) > seen

            until(is_logged)
    assert before.exists()


@pytest.mark.thorough
def test_every_process_shows_a_new_certificate_after_sighup(safe: Safe, tmp_path: Path) -> None:
    """After SIGHUP each API process serves with the files that have replaced the old ones, and no process ends."""
    authority = Authority(tmp_path, "authority")
    first, second = authority.issue("first"), authority.issue("second")
    trust = ssl.create_default_context(cafile=str(authority.certificate))
    after = ssl.PEM_cert_to_DER_cert(second.certificate.read_text())
    tls = ("--tls-cert", str(first.certificate), "--tls-key", str(first.key))
    with Server(safe, "--workers", "2", *tls) as server:
        before, running = shown(server.port, trust), workers.pids(server)
        second.certificate.rename(first.certificate)
        second.key.rename(first.key)
        os.kill(server.pid, signal.SIGHUP)
        until(lambda: len(events(server, "tls.renewed")) == 2)

        assert before != after
        assert {after} == {shown(server.port, trust) for _ in range(16)}
        assert running == workers.pids(server)


def test_each_entry_goes_to_a_sink_once(safe: Safe, tmp_path: Path) -> None:
    """Of two API processes the first sends the entries of both to an audit sink, and so does its replacement."""
    path = tmp_path / "audit.jsonl"
    with Server(safe, "--workers", "2", "--audit-sink", path.as_uri()) as server:
        victim, other = workers.pids(server)
        with _each(server) as (first, second):
            first.upload("script")
            assert [200, 200] == [first.put("script", "A").status, second.put("script", "B").status]
            until(lambda: ["A", "B"] == _puts(path))
            assert 1 == len(list(children(victim))) - len(list(children(other)))
        workers.kill(victim)
        until(partial(workers.are_two_without, server, victim))
        with Wire.to(server) as wire:
            assert 200 == wire.put("script", "C").status
        until(lambda: ["A", "B", "C"] == _puts(path))


def test_no_process_outlives_its_parent(safe: Safe) -> None:
    """When the parent is killed, its API processes end, and the port and the data directory are free again."""
    server = Server(safe, "--workers", "2")
    server.start()
    left, port = workers.pids(server), server.port
    server.kill()
    until(lambda: not any(map(alive, left)))

    server.start_at(port)
    assert 0 == server.stop()


@pytest.mark.thorough
def test_a_server_whose_processes_keep_ending_gives_up(safe: Safe) -> None:
    """When an API process ends six times in a row, each time soon, the server says so and exits with 1."""
    server = Server(safe, "--workers", "2")
    server.start()
    for number in range(6):
        victim = workers.pids(server)[-1]  # the one that was started last
        workers.kill(victim)
        until(partial(_has_acted, server, victim, number + 1))

    assert 1 == server.wait()
    assert "nightsafe: the API is not restarted any more: it ended 6 times in a row" in server.stderr.read_text()


def test_a_number_of_processes_out_of_range_is_refused(safe: Safe) -> None:
    """`--workers` takes 1 to 16."""
    for number in ("0", "17", "two"):
        done = run("serve", "--data", str(safe.path), "--workers", number, cwd=safe.path.parent)
        assert (2, "") == (done.returncode, done.stdout)
        assert "--workers" in done.stderr


def test_a_safe_that_cannot_be_served_is_refused_once(safe: Safe) -> None:
    """When no API process can start, the reason is printed once, and the server exits with 1."""
    key = safe.path / "keys" / "signing-key.json"
    key.chmod(0o644)
    done = run("serve", "--data", str(safe.path), "--port", "0", "--workers", "2", cwd=safe.path.parent)

    assert (1, "") == (done.returncode, done.stdout)
    first, *others = done.stderr.splitlines()
    assert first == f"nightsafe: {key}: has mode 0644; run: chmod 0600 {key}"
    assert ["nightsafe: the API did not start"] == others


@contextmanager
def _each(server: Server) -> Iterator[list[Wire]]:
    """Yield a client of each API process."""
    with ExitStack() as stack:
        yield [stack.enter_context(workers.wire_to(server, pid)) for pid in workers.pids(server)]


def _has_acted(server: Server, victim: int, deaths: int) -> bool:
    """Return whether a server has restarted a killed process, or has given up after its sixth end."""
    return workers.are_two_without(server, victim) or (deaths == 6 and bool(events(server, "api.gave_up")))


def _authorization(safe: Safe) -> tuple[str, str]:
    """Return the owner's credential."""
    return "Authorization", f"Bearer {safe.api_token}"


def _lines(server: Server) -> list[str]:
    """Return the lines of a server's log, which may not exist yet."""
    return server.stderr.read_text().splitlines() if server.stderr.exists() else []


def _puts(path: Path) -> list[str]:
    """Return the names of the secrets that were set, according to the entries that a sink has received."""
    entries = [json.loads(line)["entry"] for line in path.read_bytes().splitlines()] if path.exists() else []
    return [name for entry in entries if entry["action"] == "secrets.put" for name in entry["set"]]


def _refuses(port: int) -> bool:
    """Return whether a port refuses connections."""
    try:
        socket.create_connection(("127.0.0.1", port), SECONDS).close()
    except ConnectionRefusedError:
        return True
    return False
