"""The real server on a disk that is full or fails, and on a data directory that is moved away."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.clients.wire.talk import SCRIPTS, Wire, form
from tests.server import Safe, Server

ROOT = Path(__file__).parents[2]
FULL, GONE, UNKNOWN = (503, [10701]), (503, [10702]), (500, [10705])


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder whose files say how the disk fails."""
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def failing(new_safe: Safe, tmp_path_factory: pytest.TempPathFactory, faults: Path) -> Iterator[Server]:
    """A server on such a disk; at its end it stops with code 0 and has met nothing unforeseen."""
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
    """Its owner."""
    with Wire.to(failing) as client:
        yield client


def kinds(server: Server) -> list[tuple[str, str]]:
    """What its log says of troubles."""
    lines = [
        json.loads(line)
        for line in server.stderr.read_text().splitlines()
        if line.startswith("{") and line.endswith("}")
    ]
    return [(line["event"], line["kind"]) for line in lines if "kind" in line]


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds: what is logged is written by a thread."""
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, "it did not come to hold"
        time.sleep(0.01)


def is_ready(wire: Wire) -> tuple[int, list[int]]:
    """What a probe is told; live it is all the while."""
    assert 200 == wire.ask("GET", "/livez").status
    answer = wire.ask("GET", "/readyz")
    return (200, []) if answer.status == 200 else answer.refusal


def test_a_full_disk(failing: Server, wire: Wire, faults: Path) -> None:
    """PUT and `/readyz` are 503 with a code and words of their own, at once and each time; reads are answered."""
    assert 200 == wire.put("worker", "KEPT", "value").status
    assert (200, []) == is_ready(wire)
    (faults / "full").touch()
    content_type, body = form({"metadata": b'{"main_module": "worker.js"}'}, b"//" + b"x" * 2_000_000)
    answers = [
        wire.ask("PUT", f"{SCRIPTS}/large", body, [("Content-Type", content_type)]),
        wire.ask("PUT", f"{SCRIPTS}/worker", body, [("Content-Type", content_type)]),
    ]
    assert [FULL, FULL] == [answer.refusal for answer in answers]
    assert "the safe's disk is full: nothing was changed" in answers[0].messages[0]
    assert FULL == is_ready(wire)
    assert FULL == is_ready(wire)
    assert ["KEPT"] == wire.names("worker")
    (faults / "full").unlink()
    assert 200 == wire.put("worker", "NEXT", "value").status
    assert (200, []) == is_ready(wire)
    until(lambda: [("store.trouble", "disk_full"), ("store.well_again", "disk_full")] == kinds(failing)[-2:])


def test_a_disk_that_makes_nothing_durable(wire: Wire, faults: Path) -> None:
    """Nobody is told that a write failed when it may be there after a crash."""
    before = wire.names("worker")
    (faults / "unsynced").touch()
    refused = wire.put("worker", "LOST", "value")
    assert UNKNOWN == refused.refusal
    assert "the change may or may not be kept" in refused.messages[0]
    assert 503 == is_ready(wire)[0]
    (faults / "unsynced").unlink()
    assert (200, []) == is_ready(wire)
    assert before == wire.names("worker")


def test_a_data_directory_that_is_moved_away(failing: Server, faults: Path) -> None:
    """Writes and `/readyz` are 503, reads are answered, the log says so once; put back, all goes on."""
    del faults
    path = failing.safe.path
    aside = path.with_name("aside")
    with Wire.to(failing) as wire:
        assert 200 == wire.put("worker", "KEPT", "value").status
        path.rename(aside)
        refused = [wire.put("worker", "LOST", "value") for _ in range(2)]
        assert [GONE, GONE] == [answer.refusal for answer in refused]
        assert "is no longer where it was opened: nothing was changed; put back" in refused[0].messages[0]
        assert GONE == is_ready(wire)
        assert "KEPT" in wire.names("worker")
        aside.rename(path)
        assert (200, []) == is_ready(wire)
        assert 200 == wire.put("worker", "BACK", "value").status
    until(lambda: [("store.trouble", "file_gone"), ("store.well_again", "file_gone")] == kinds(failing)[-2:])
    failing.kill()
    failing.start()
    with Wire.to(failing) as again:
        assert {"KEPT", "BACK"} <= set(again.names("worker"))
        assert "LOST" not in again.names("worker")


def test_a_server_in_trouble_ends_when_it_is_told_to(failing: Server, faults: Path) -> None:
    """While no write succeeds, and while its files are elsewhere: SIGTERM ends it with 0, and it starts again."""
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
