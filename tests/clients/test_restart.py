"""The state after the server stops, and files that the server never reads."""

import json
import socket
import time
from pathlib import Path

import pytest
from tests.clients.wire.talk import JSON, SCRIPTS, Wire, text
from tests.server import Safe, Server

SECONDS = 20
SECRET = b'{"name":"late","text":"a value","type":"secret_text"}'
WATCHER = """
import os, sys
log = os.open(os.environ["WATCHED"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def watch(event, arguments):
    if event in ("open", "import"):
        os.write(log, f"{event} {arguments[0]}\\n".encode(errors="replace"))
sys.addaudithook(watch)
"""


def wait_until_refused(port: int) -> None:
    """Wait until the port refuses connections."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), SECONDS).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.01)
    pytest.fail("the server still takes connections")


def test_everything_survives_a_restart(safe: Safe) -> None:
    """Scripts, secrets, settings and files survive a restart, a second one, and a SIGKILL."""
    expected: list[str] = []
    seen: list[bytes] = []
    server = Server(safe)
    for turn in range(3):
        with server, Wire.to(server) as wire:
            if turn == 0:
                wire.upload("script", {"type": "plain_text", "name": "VAR", "text": "x"})
            else:
                at = f"{SCRIPTS}/script"
                assert seen == [wire.ask("GET", path).body for path in (SCRIPTS, at, f"{at}/settings")]
                assert wire.names("script") == expected
            wire.put("script", f"put-{turn}")
            wire.patch("script", {f"patched-{turn}": text("x"), "put-0": None} if turn else {"patched-0": text("x")})
            expected = wire.names("script")
            seen = [wire.ask("GET", SCRIPTS + path).body for path in ("", "/script", "/script/settings")]
            if turn == 1:
                server.kill()

    assert expected == ["patched-0", "patched-1", "patched-2", "put-1", "put-2"]


def test_sigterm_finishes_open_requests(safe: Safe) -> None:
    """After SIGTERM the server accepts no connections, finishes open requests, and exits with 0."""
    server = Server(safe)
    server.start()
    target = f"{SCRIPTS}/script/secrets"
    with Wire.to(server) as wire, Wire.to(server) as idle:
        wire.upload("script")
        idle.names("script")
        wire.begin("PUT", target, len(SECRET), [JSON, ("Authorization", f"Bearer {safe.api_token}")])
        wire.push(SECRET[:20])
        server.terminate()
        wait_until_refused(server.port)
        wire.push(SECRET[20:])
        answer = wire.answer("PUT")

    assert answer.result == {"name": "late", "type": "secret_text"}
    assert server.wait() == 0
    with server, Wire.to(server) as wire:
        assert wire.names("script") == ["late"]


def test_a_second_sigterm_changes_nothing(safe: Safe) -> None:
    """A second SIGTERM changes nothing."""
    server = Server(safe)
    server.start()
    server.terminate()
    server.terminate()

    assert server.wait() == 0


def test_the_server_does_not_need_the_private_ring(safe: Safe, tmp_path: Path) -> None:
    """Every call works without its file; the server neither opens it nor imports modules that open values."""
    (tmp_path / "sitecustomize.py").write_text(WATCHER)
    watched = tmp_path / "watched.log"
    safe.private_ring.unlink()
    with Server(safe, environ={"PYTHONPATH": str(tmp_path), "WATCHED": str(watched)}) as server:
        use_everything(server)

    events = watched.read_text().splitlines()
    imported = {event.removeprefix("import ") for event in events if event.startswith("import ")}
    opened = {event.removeprefix("open ") for event in events if event.startswith("open ")}
    assert {"nightsafe.api.app", "nightsafe.sealing.sealer"} <= imported
    assert not imported & {"nightsafe.sealing.opener", "nightsafe.sealing.rings.private_ring"}
    assert [path for path in opened if path.endswith("signing-key.json")]
    assert not [path for path in opened if "private-ring" in path]


def use_everything(server: Server) -> None:
    """Send every kind of request that succeeds, and a few that fail."""
    with Wire.to(server) as wire:
        assert wire.upload("script", {"type": "secret_text", "name": "S", "text": "x"}).status == 200
        assert wire.put("script", "mine").status == 200
        assert wire.patch("script", {"other": text("x"), "mine": None}).status == 200
        assert wire.ask("GET", f"{SCRIPTS}/script/secrets/other").status == 200
        assert wire.ask("DELETE", f"{SCRIPTS}/script/secrets/other").status == 200
        assert wire.ask("DELETE", f"{SCRIPTS}/script/secrets/other").status == 404
        assert wire.ask("GET", f"{SCRIPTS}/script/settings").status == 200
        assert wire.ask("GET", f"{SCRIPTS}/script").status == 200
        assert wire.ask("GET", "/readyz").status == 200
        assert wire.send("PUT", f"{SCRIPTS}/script/secrets", json.loads("[]")).status == 400
        assert wire.ask("DELETE", f"{SCRIPTS}/script").status == 200
