"""A rotation while clients go on, and while one process after the other is killed."""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from tests.clients.cli.keys.test_keys import RESEALING, done, token_file
from tests.clients.opened import opened
from tests.clients.wire.talk import SCRIPTS, Wire
from tests.server import NIGHTSAFE, Server, clean_environ

SECRETS = 100
MANY = 12
SECONDS = 120


def filled(server: Server) -> None:
    """So many scripts with so many values each."""
    with Wire.to(server) as wire:
        for script in range(MANY):
            bindings = [{"type": "secret_text", "name": f"S{at}", "text": f"{script}-{at}"} for at in range(SECRETS)]
            assert wire.upload(f"worker-{script}", *bindings).status == 200


@contextmanager
def resealing(server: Server) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that seals anew; killed at the end if it has not ended."""
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


def left(wire: Wire) -> int:
    """How many values are to be sealed anew, as the server tells."""
    keys = wire.ask("GET", SCRIPTS.replace("workers/scripts", "nightsafe/keys")).result["keys"]
    return sum(key["values"] for key in keys if key["state"] != "primary")


def wait_until_left(wire: Wire, most: int) -> None:
    """Return once no more than so many are left."""
    deadline = time.monotonic() + SECONDS
    while left(wire) > most:
        assert time.monotonic() < deadline


class Traffic:
    """Clients that read and write all the time, each script of its own; every answer must be a good one."""

    def __init__(self, server: Server, clients: int = 3) -> None:
        self._server = server
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(number,)) for number in range(clients)]
        self.put: dict[str, str] = {}
        self.wrong: list[object] = []
        self.count = 0

    def __enter__(self) -> Self:
        """Begin."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _client(self, number: int) -> None:
        """One client."""
        script, turn = f"worker-{number}", 0
        with Wire.to(self._server) as wire:
            while not self._stop.is_set():
                turn += 1
                name = f"S{turn % SECRETS}"
                answers = [
                    wire.put(script, name, f"new-{number}-{turn}"),
                    wire.ask("GET", f"{SCRIPTS}/{script}/secrets/{name}"),
                ]
                self.put[f"{script}/{name}"] = f"new-{number}-{turn}"
                self.wrong += [one for one in answers if one.status != 200]
                self.count += len(answers)


def expected(traffic: Traffic, script: int) -> dict[str, str]:
    """The values of a script after some traffic."""
    return {f"S{at}": traffic.put.get(f"worker-{script}/S{at}", f"{script}-{at}") for at in range(SECRETS)}


def test_clients_go_on_through_a_rotation(own_server: Server) -> None:
    """Every request is answered, no write is lost, and all values come under the new key.

    Whoever seals anew is killed in the middle of it, and so is the server; what is left is done by the next.
    """
    filled(own_server)
    done(own_server.safe, "rotate")
    with Wire.to(own_server) as wire, Traffic(own_server) as traffic:
        total = left(wire)
        assert total >= MANY * SECRETS
        with resealing(own_server):
            wait_until_left(wire, total * 3 // 4)
        assert left(wire) > 0
        with resealing(own_server):
            wait_until_left(wire, total // 2)
        assert left(wire) > 0
    assert ([], True) == (traffic.wrong, traffic.count > 20)

    with resealing(own_server) as process:
        with Wire.to(own_server) as wire:
            wait_until_left(wire, total // 4)
        own_server.kill()
        assert 1 == process.wait(SECONDS)
    own_server.start()
    with Wire.to(own_server) as wire, resealing(own_server) as process:
        assert 0 == process.wait(SECONDS)
        assert 0 == left(wire)

    assert ["primary", "active"] == [key["state"] for key in done(own_server.safe, "status")["keys"]]
    for script in range(MANY):
        assert expected(traffic, script) == opened(own_server.safe, f"worker-{script}")
