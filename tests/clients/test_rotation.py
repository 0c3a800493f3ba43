"""A key rotation while clients send requests and processes are killed."""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import pytest
from tests.clients.cli.keys.test_keys import RESEALING, done, token_file
from tests.clients.stored_values import opened
from tests.clients.wire.talk import SCRIPTS, Wire
from tests.server import NIGHTSAFE, Server, clean_environ

SECRETS_EACH = 100
SCRIPTS_COUNT = 12
SECONDS = 120


def create_scripts(server: Server) -> None:
    """Create many scripts with many values each."""
    with Wire.to(server) as wire:
        for script in range(SCRIPTS_COUNT):
            bindings = [
                {"type": "secret_text", "name": f"S{at}", "text": f"{script}-{at}"} for at in range(SECRETS_EACH)
            ]
            assert wire.upload(f"worker-{script}", *bindings).status == 200


@contextmanager
def resealing(server: Server) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a process that reseals; kill it at the end if it still runs."""
    safe = server.safe
    token = token_file(safe, RESEALING)
    command = (
        *NIGHTSAFE, "keys", "reseal", "--data", str(safe.path), "--api", server.base_url, "--token-file", str(token),
        "--account-id", safe.account_id, "--rest", "1",
    )  # fmt: skip
    process = subprocess.Popen(command, env=clean_environ(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def values_left(wire: Wire) -> int:
    """Return the number of values under older keys, as the server counts them."""
    keys = wire.ask("GET", SCRIPTS.replace("workers/scripts", "nightsafe/keys")).result["keys"]
    return sum(key["values"] for key in keys if key["state"] != "primary")


def wait_until_left(wire: Wire, most: int) -> None:
    """Wait until at most this many values are under older keys."""
    deadline = time.monotonic() + SECONDS
    while values_left(wire) > most:
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Traffic:
    """Clients that read and write continuously, each its own script; every answer must be successful."""

    def __init__(self, server: Server, clients: int = 3) -> None:
        self._server = server
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(number,)) for number in range(clients)]
        self.put: dict[str, str] = {}
        self.wrong: list[object] = []
        self.count = 0

    def __enter__(self) -> Self:
        """Start the clients."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the clients."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _client(self, number: int) -> None:
        """Run one client."""
        script, turn = f"worker-{number}", 0
        with Wire.to(self._server) as wire:
            while not self._stop.is_set():
                turn += 1
                name = f"S{turn % SECRETS_EACH}"
                answers = [
                    wire.put(script, name, f"new-{number}-{turn}"),
                    wire.ask("GET", f"{SCRIPTS}/{script}/secrets/{name}"),
                ]
                self.put[f"{script}/{name}"] = f"new-{number}-{turn}"
                self.wrong += [answer for answer in answers if answer.status != 200]
                self.count += len(answers)


def expected(traffic: Traffic, script: int) -> dict[str, str]:
    """Return the expected values of a script after some traffic."""
    return {f"S{at}": traffic.put.get(f"worker-{script}/S{at}", f"{script}-{at}") for at in range(SECRETS_EACH)}


@pytest.mark.thorough
def test_clients_continue_through_a_rotation_and_kills(own_server: Server) -> None:
    """Every request succeeds, no write is lost, and all values end under the new key.

    The process that reseals is killed in the middle, and so is the server; the next process does the rest.
    """
    create_scripts(own_server)
    done(own_server.safe, "rotate")
    with Wire.to(own_server) as wire, Traffic(own_server) as traffic:
        total = values_left(wire)
        assert total >= SCRIPTS_COUNT * SECRETS_EACH
        with resealing(own_server):
            wait_until_left(wire, total * 3 // 4)
        assert values_left(wire) > 0
        with resealing(own_server):
            wait_until_left(wire, total // 2)
        assert values_left(wire) > 0
    assert ([], True) == (traffic.wrong, traffic.count > 20)

    with resealing(own_server) as process:
        with Wire.to(own_server) as wire:
            wait_until_left(wire, total // 4)
        own_server.kill()
        assert 1 == process.wait(SECONDS)
    own_server.start()
    with Wire.to(own_server) as wire, resealing(own_server) as process:
        assert 0 == process.wait(SECONDS)
        assert 0 == values_left(wire)

    assert ["primary", "active"] == [key["state"] for key in done(own_server.safe, "status")["keys"]]
    for script in range(SCRIPTS_COUNT):
        assert expected(traffic, script) == opened(own_server.safe, f"worker-{script}")
