"""A write is answered after Workers have it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import pytest
from tests.clients.wire.talk import SCRIPTS, Wire
from tests.effort import chosen
from tests.live.tools.running import HELLO, Run, put, secret, upload

WRITES = chosen(thorough=1000, quick=200)
READERS = 4


def test_an_answered_write_is_seen_by_the_next_request(live: Run, wire: Wire) -> None:
    """New scripts, new values, a deleted secret and a deleted script are seen by the next request, every time."""
    upload(wire, "seen", HELLO, secret("TOKEN", "first"))
    assert "first" == live.workers.text("seen")
    for number in range(50):
        put(wire, "seen", "TOKEN", str(number))
        assert str(number) == live.workers.text("seen")
    wire.ask("DELETE", f"{SCRIPTS}/seen/secrets/TOKEN")
    assert "" == live.workers.text("seen").replace("undefined", "")
    wire.ask("DELETE", f"{SCRIPTS}/seen")

    assert 404 == live.workers.get("seen").status_code


def test_an_answered_bulk_write_is_seen(live: Run, wire: Wire) -> None:
    """Other ways to write are waited for as well."""
    code = b"export default { fetch: (request, env) => new Response([env.A, env.B, env.C].join()) };"
    upload(wire, "bulk", code, secret("A", "1"))
    wire.patch("bulk", {"A": {"type": "secret_text", "text": "2"}, "B": {"type": "secret_text", "text": "3"}})
    assert "2,3," == live.workers.text("bulk")
    wire.patch("bulk", {"A": None, "C": {"type": "secret_text", "text": "4"}})
    assert ",3,4" == live.workers.text("bulk")


@pytest.mark.thorough
def test_an_update_storm_shows_no_older_value(own: Run) -> None:
    """While a value changes often under load, no request fails or gets an older value after a newer one."""
    storm = Storm(own)
    with Wire.to(own) as wire:
        upload(wire, "storm", HELLO, secret("TOKEN", "0"))
        with ThreadPoolExecutor(READERS) as pool:
            readers = [pool.submit(storm.read) for _ in range(READERS)]
            for number in range(1, WRITES + 1):
                put(wire, "storm", "TOKEN", str(number))
                storm.last = max(
                    storm.last, number
                )  # the write was answered: no later request may get an older value
            storm.stop.set()
            for reader in readers:
                reader.result()

    assert [] == storm.wrong
    assert len(storm.seen) > WRITES / 10
    assert str(WRITES) == own.workers.text("storm")


class Storm:
    """Requests to one script that go on until they are told to stop.

    Attributes:
        last: the newest value that a request got or whose write was answered.
        wrong: failed answers, and answers older than `last` was before their request.
    """

    def __init__(self, running: Run) -> None:
        self._port = running.workers.port
        self.stop = threading.Event()
        self.last = 0
        self.wrong: list[tuple[int, str, int]] = []
        self.seen: set[int] = set()

    def read(self) -> None:
        """Send requests until told to stop."""
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
