"""The real server, killed amid a storm of writes, again and again on the same data."""

import json
import random
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPException

from msgspec import Struct
from tests.clients.wire.talk import SCRIPTS, Answer, Wire, text
from tests.effort import chosen
from tests.engines.tools.log import check_log
from tests.server import ACCOUNT, Safe, Server

from nightsafe.sealing.context import Context
from nightsafe.sealing.opener import RecordOpener
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.store.sqlite.reads.stated import Proofs

KILLS = chosen(thorough=50, quick=15)
NAMES = 8
WRITERS = 6
SECONDS = 20

Held = dict[str, str]


class Writer:
    """Writes to names of its own in one script, and knows what must be stored.

    Attributes:
        held: the acknowledged values, by name.
        asked: the values if the request that was under way was carried out.
        acknowledged: how many writes were acknowledged that changed anything; others make no version.
    """

    def __init__(self, number: int) -> None:
        self.script = f"script-{number % 2}"
        self.held: Held = {}
        self.asked: Held = {}
        self.acknowledged = 0
        self.unanswered = 0
        self._random = random.Random(number)  # noqa: S311 - the same storm in every run
        self._names = [f"W{number}_{index}" for index in range(NAMES)]
        self._count = 0

    def storm(self, server: Server, *tallies: "Tally") -> None:
        """Write until the server is gone, or a tally is over."""
        with Wire.to(server) as wire:
            while not any(tally.over.is_set() for tally in tallies):
                self.asked, send = self._next()
                try:
                    answer = send(wire)
                except (OSError, HTTPException):
                    self.unanswered += 1
                    return
                assert answer.status == 200, answer.body
                self.acknowledged += self.asked != self.held
                self.held = self.asked
                for tally in tallies:
                    tally.add()

    def _next(self) -> "tuple[Held, Request]":
        """Return the values after the next write, and that write."""
        names = self._random.sample(self._names, self._random.randint(1, 4))
        if len(names) > 1:
            patch = {name: self._value() if self._random.random() < 0.6 else None for name in names}
            after = {name: value for name, value in (self.held | patch).items() if value is not None}
            return after, Patch(self.script, patch)
        name = names[0]
        if name in self.held and self._random.random() < 0.5:
            return {other: value for other, value in self.held.items() if other != name}, Delete(self.script, name)
        value = self._value()
        return self.held | {name: value}, Put(self.script, name, value)

    def _value(self) -> str:
        """Return a value that was never written before."""
        self._count += 1
        return f"{self._names[0]} {self._count} " + "x" * self._random.choice((0, 50, 5000))


class Put(Struct, frozen=True):
    """A secret to put."""

    script: str
    name: str
    value: str

    def __call__(self, wire: Wire) -> Answer:
        """Send the request."""
        return wire.put(self.script, self.name, self.value)


class Delete(Struct, frozen=True):
    """A secret to delete."""

    script: str
    name: str

    def __call__(self, wire: Wire) -> Answer:
        """Send the request."""
        return wire.ask("DELETE", f"{SCRIPTS}/{self.script}/secrets/{self.name}")


class Patch(Struct, frozen=True):
    """Several secrets to set and delete at once."""

    script: str
    patch: dict[str, str | None]

    def __call__(self, wire: Wire) -> Answer:
        """Send the request."""
        return wire.patch(self.script, {name: value and text(value) for name, value in self.patch.items()})


Request = Put | Delete | Patch


class Tally:
    """Counts acknowledged writes, and signals when there are enough. The test sets `over` to end the writes."""

    def __init__(self, enough: int) -> None:
        self.reached = threading.Event()
        self.over = threading.Event()
        self._left = enough
        self._lock = threading.Lock()

    def add(self) -> None:
        """Count one more."""
        with self._lock:
            self._left -= 1
            if self._left <= 0:
                self.reached.set()


def opener_of(safe: Safe) -> RecordOpener:
    """Return the opener of a safe's values."""
    return RecordOpener(VerifyKeys.load(safe.path / "keys" / "verify-keys.json"), PrivateRing.load(safe.private_ring))


def values(safe: Safe, opener: RecordOpener) -> Held:
    """Return every secret in the database with its value, opened as delivery would."""
    with closing(sqlite3.connect(f"file:{safe.database}?mode=ro", uri=True)) as db:
        cursor = db.cursor()
        cursor.execute("BEGIN")
        rows = cursor.execute(
            "SELECT script, name, kind, sealed, since, stated_in, position FROM bindings"
        ).fetchall()
        proofs = Proofs(cursor)
        records = [(script, name, kind, proofs.record(*stated)) for script, name, kind, *stated in rows]
    opened = {}
    for script, name, kind, record in records:
        context = Context(account_id=ACCOUNT, namespace="", script=script, name=name, kind=kind, public=b"")
        opened[name] = opener.open(context, record).reveal().decode()
    return opened


def settle(writers: list[Writer], there: Held) -> None:
    """Compare the stored values with each writer's; its last request is stored as a whole or not at all."""
    for writer in writers:
        own = {name: value for name, value in there.items() if name in writer._names}
        assert own in (writer.held, writer.asked)
        writer.held = writer.asked = own


def check_database(safe: Safe, writers: list[Writer], kills: int = KILLS, more: int = 0) -> None:
    """Check that the file is sound, and that every write has one version, the next number and one audit entry.

    The log is one tree over all entries, and its head is signed.

    Args:
        safe: the safe.
        writers: all writers.
        kills: the least number of writes that were not answered.
        more: the number of acknowledged writes besides the uploads of the scripts and the writers' writes.
    """
    assert check_log(safe.database, SigningKey.load(safe.path / "keys" / "signing-key.json"))
    with closing(sqlite3.connect(safe.database)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        versions = db.execute("SELECT script_id, number, lower(hex(id)) FROM versions ORDER BY 1, 2").fetchall()
        newest = dict(db.execute("SELECT id, version FROM scripts").fetchall())
        entries = [json.loads(entry) for (entry,) in db.execute("SELECT entry FROM audit")]
    numbers = [(script, number) for script, number, _ in versions]
    assert numbers == [(script, number) for script in sorted(newest) for number in range(1, newest[script] + 1)]
    logged = [entry["version_id"].replace("-", "") for entry in entries if entry.get("version_id")]
    assert sorted(logged) == sorted(version for _, _, version in versions)
    acknowledged = sum(writer.acknowledged for writer in writers) + len(newest) + more
    unanswered = sum(writer.unanswered for writer in writers)
    assert unanswered >= kills
    assert acknowledged <= len(versions) <= acknowledged + unanswered


def test_a_kill_loses_no_acknowledged_write(safe: Safe) -> None:
    """After each of many kills the server has every acknowledged write, and any other as a whole or not at all."""
    opener = opener_of(safe)
    writers = [Writer(number) for number in range(WRITERS)]
    server = Server(safe)
    for turn in range(KILLS):
        server.start()
        with Wire.to(server) as wire, ThreadPoolExecutor(WRITERS) as pool:
            if turn == 0:
                assert [wire.upload(f"script-{number}").status for number in range(2)] == [200, 200]
            settle(writers, values(safe, opener))
            for script in ("script-0", "script-1"):
                expected = {name for writer in writers if writer.script == script for name in writer.held}
                assert wire.names(script) == sorted(expected)
            tally = Tally(1 + 37 * turn % 90)
            storms = [pool.submit(writer.storm, server, tally) for writer in writers]
            reached = tally.reached.wait(SECONDS)
            server.kill()
            for storm in storms:
                storm.result(SECONDS)
            assert reached
    with server:
        settle(writers, values(safe, opener))
    check_database(safe, writers)
