"""The real server on a disk that is full or fails, and on a data directory that is moved away."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.clients.wire.talk import SCRIPTS, Wire, form
from tests.live.tools.running import until
from tests.server import Safe, Server

ROOT = Path(__file__).parents[2]
FULL, GONE, UNKNOWN = (503, [10701]), (503, [10702]), (503, [10705])


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder whose files decide how the disk fails."""
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def failing(new_safe: Safe, tmp_path_factory: pytest.TempPathFactory, faults: Path) -> Iterator[Server]:
    """Yield a server on that disk; check at its end that it stops with 0 and logged nothing unforeseen."""
    path = tmp_path_factory.mktemp("failing") / "safe"
    shutil.copytree(new_safe.path, path)
    environ = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'faults' / 'outside'}", "DISK_FAULTS": str(faults)}
    with Server(replace(new_safe, path=path), environ=environ) as running:
        with Wire.to(running) as wire:
            assert 200 == wire.upload("worker").status
        yield running
    assert "unforeseen" not in running.stderr.read_text()


@pytest.fixture
def wire(failing: Server) -> Iterator[Wire]:
    """Yield a client with the owner's token."""
    with Wire.to(failing) as client:
        yield client


def troubles(server: Server) -> list[tuple[str, str]]:
    """Return the events and kinds of trouble in the server's log."""
    lines = [
        json.loads(line)
        for line in server.stderr.read_text().splitlines()
        if line.startswith("{") and line.endswith("}")
    ]
    return [(line["event"], line["kind"]) for line in lines if "kind" in line]


def readiness(wire: Wire) -> tuple[int, list[int]]:
    """Return the status and the codes of `/readyz`; `/livez` must answer 200 all the while."""
    assert 200 == wire.ask("GET", "/livez").status
    answer = wire.ask("GET", "/readyz")
    return (200, []) if answer.status == 200 else answer.refusal


def test_a_full_disk_is_a_503_with_its_own_code(failing: Server, wire: Wire, faults: Path) -> None:
    """PUT and `/readyz` answer 503 with their own code and words, at once and each time; reads are answered."""
    assert 200 == wire.put("worker", "KEPT", "value").status
    assert (200, []) == readiness(wire)
    (faults / "full").touch()
    content_type, body = form({"metadata": b'{"main_module": "worker.js"}'}, b"//" + b"x" * 2_000_000)
    answers = [
        wire.ask("PUT", f"{SCRIPTS}/large", body, [("Content-Type", content_type)]),
        wire.ask("PUT", f"{SCRIPTS}/worker", body, [("Content-Type", content_type)]),
    ]
    assert [FULL, FULL] == [answer.refusal for answer in answers]
    assert "the safe's disk is full: nothing was changed" in answers[0].messages[0]
    assert FULL == readiness(wire)
    assert FULL == readiness(wire)
    assert ["KEPT"] == wire.names("worker")
    (faults / "full").unlink()
    assert 200 == wire.put("worker", "NEXT", "value").status
    assert (200, []) == readiness(wire)
    until(lambda: [("store.trouble", "disk_full"), ("store.well_again", "disk_full")] == troubles(failing)[-2:])


def test_a_disk_without_syncs_leaves_outcomes_unknown(wire: Wire, faults: Path) -> None:
    """A write that may be stored after a crash is not called failed."""
    before = wire.names("worker")
    (faults / "unsynced").touch()
    refused = wire.put("worker", "LOST", "value")
    assert UNKNOWN == refused.refusal
    assert "the change may or may not be kept" in refused.messages[0]
    assert 503 == readiness(wire)[0]
    (faults / "unsynced").unlink()
    assert (200, []) == readiness(wire)
    assert before == wire.names("worker")


def test_a_moved_data_directory_is_a_503(failing: Server, faults: Path) -> None:
    """Writes and `/readyz` answer 503, reads are answered, the log says so once; put back, everything goes on."""
    del faults
    path = failing.safe.path
    aside = path.with_name("aside")
    with Wire.to(failing) as wire:
        assert 200 == wire.put("worker", "KEPT", "value").status
        path.rename(aside)
        refused = [wire.put("worker", "LOST", "value") for _ in range(2)]
        assert [GONE, GONE] == [answer.refusal for answer in refused]
        assert "is no longer where it was opened: nothing was changed; put back" in refused[0].messages[0]
        assert GONE == readiness(wire)
        assert "KEPT" in wire.names("worker")
        aside.rename(path)
        assert (200, []) == readiness(wire)
        assert 200 == wire.put("worker", "BACK", "value").status
    until(lambda: [("store.trouble", "file_gone"), ("store.well_again", "file_gone")] == troubles(failing)[-2:])
    failing.kill()
    failing.start()
    with Wire.to(failing) as again:
        assert {"KEPT", "BACK"} <= set(again.names("worker"))
        assert "LOST" not in again.names("worker")


def test_a_server_in_trouble_stops_on_sigterm(failing: Server, faults: Path) -> None:
    """SIGTERM ends it with 0 while no write succeeds and while its files are elsewhere; then it starts again."""
    aside = failing.safe.path.with_name("aside")
    with Wire.to(failing) as wire:
        (faults / "unsynced").touch()
        assert UNKNOWN == wire.put("worker", "LOST", "value").refusal
        assert 0 == failing.stop()
        (faults / "unsynced").unlink()
    failing.start()
    with Wire.to(failing) as wire:
        failing.safe.path.rename(aside)
        assert GONE == wire.put("worker", "LOST", "value").refusal
        assert 0 == failing.stop()
        aside.rename(failing.safe.path)
    failing.start()
    with Wire.to(failing) as wire:
        assert 200 == wire.put("worker", "BACK", "value").status
