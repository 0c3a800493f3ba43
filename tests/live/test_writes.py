"""A write's answer means that Workers have it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

from tests.clients.wire.talk import SCRIPTS, Wire
from tests.live.tools.running import HELLO, Run, put, secret, upload

WRITES = 1000
READERS = 4


def test_what_was_answered_is_seen(live: Run, wire: Wire) -> None:
    """By the next request, every time: a new script, new values, one that is deleted, the whole script deleted."""
    upload(wire, "seen", HELLO, secret("TOKEN", "first"))
    assert "first" == live.workers.text("seen")
    for number in range(50):
        put(wire, "seen", "TOKEN", str(number))
        assert str(number) == live.workers.text("seen")
    wire.ask("DELETE", f"{SCRIPTS}/seen/secrets/TOKEN")
    assert "" == live.workers.text("seen").replace("undefined", "")
    wire.ask("DELETE", f"{SCRIPTS}/seen")

    assert 404 == live.workers.get("seen").status_code


def test_bulk_and_settings(live: Run, wire: Wire) -> None:
    """Other ways to write are waited for as well."""
    code = b"export default { fetch: (request, env) => new Response([env.A, env.B, env.C].join()) };"
    upload(wire, "bulk", code, secret("A", "1"))
    wire.patch("bulk", {"A": {"type": "secret_text", "text": "2"}, "B": {"type": "secret_text", "text": "3"}})
    assert "2,3," == live.workers.text("bulk")
    wire.patch("bulk", {"A": None, "C": {"type": "secret_text", "text": "4"}})
    assert ",3,4" == live.workers.text("bulk")


def test_update_storm(own: Run) -> None:
    """A value that changes 1,000 times under load: no request sees an older one after a newer one, and none fails."""
    storm = Storm(own)
    with Wire.to(own) as wire:
        upload(wire, "storm", HELLO, secret("TOKEN", "0"))
        with ThreadPoolExecutor(READERS) as pool:
            readers = [pool.submit(storm.read) for _ in range(READERS)]
            for number in range(1, WRITES + 1):
                put(wire, "storm", "TOKEN", str(number))
                storm.last = max(storm.last, number)  # it was answered: from now on nobody may get less
            storm.stop.set()
            for reader in readers:
                reader.result()

    assert [] == storm.wrong
    assert len(storm.seen) > WRITES / 10
    assert str(WRITES) == own.workers.text("storm")


class Storm:
    """Requests to one script that go on until they are told to stop.

    Attributes:
        last: the newest value that a request has had, or that was answered as written.
        wrong: answers that were none, or older than what was known before they were asked for.
    """

    def __init__(self, running: Run) -> None:
        self._port = running.workers.port
        self.stop = threading.Event()
        self.last = 0
        self.wrong: list[tuple[int, str, int]] = []
        self.seen: set[int] = set()

    def read(self) -> None:
        """Ask again and again."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self.stop.is_set():
            before = self.last
            connection.request("GET", "/", headers={"Host": f"storm.localhost:{self._port}"})
            answer = connection.getresponse()
            body = answer.read().decode()
            value = int(body) if answer.status == 200 else -1
            if value < before:
                self.wrong.append((answer.status, body, before))
            self.seen.add(value)
            self.last = max(self.last, value)
        connection.close()
