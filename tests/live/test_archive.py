"""`nightsafe audit archive` beside a server that is written to, a delivery process, a sink and a witness."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests.clients.cli.witness.test_serving_with_witnesses import log_key
from tests.clients.cli.witness.test_witness import WitnessServer
from tests.clients.wire.talk import Wire
from tests.live.tools.running import HELLO, Deliver, put, secret, until, upload
from tests.server import ACCOUNT, Safe, Server, run

PERIOD = "since=2020-01-01&before=2100-01-01"
LOGS = f"/client/v4/accounts/{ACCOUNT}/logs/audit?direction=asc&limit=1000&{PERIOD}"


def archive(safe: Safe, folder: Path) -> int:
    """Archive what is older than a second; return the number of entries."""
    options = ("--data", str(safe.path), "--audit-keep", "1s", "--audit-archive", str(folder), "--json")
    done = run("audit", "archive", *options, cwd=safe.path.parent)
    assert 0 == done.returncode, done.stderr
    return int(json.loads(done.stdout)["archived"])


def verified(safe: Safe, *options: str) -> dict[str, Any]:
    """Return what a verification of the safe says."""
    done = run("audit", "verify", "--data", str(safe.path), "--json", *options, cwd=safe.path.parent)
    assert 0 == done.returncode, done.stdout
    fields: dict[str, Any] = json.loads(done.stdout)
    return fields


def has_archived_all(safe: Safe, folder: Path) -> bool:
    """Archive what is old enough; return whether no entry of an account is left in the database."""
    archive(safe, folder)
    with closing(sqlite3.connect(safe.database)) as db:
        left = db.execute("SELECT 1 FROM audit WHERE account_id <> '' AND entry <> x'' LIMIT 1").fetchone()
    return left is None


@contextmanager
def writing(server: Server) -> Iterator[list[int]]:
    """Put secrets one after the other while this block runs; give the list of the answers' statuses."""
    statuses: list[int] = []
    done = threading.Event()

    def work() -> None:
        """Put secrets until the block ends."""
        with Wire.to(server) as wire:
            while not done.is_set():
                statuses.append(wire.put("worker", f"S{len(statuses) % 50}").status)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield statuses
    finally:
        done.set()
        thread.join()


def test_everything_goes_on_while_entries_are_archived(safe: Safe, tmp_path: Path) -> None:
    """No write and no delivery fails, the witness cosigns, the sink has each entry once, and the log verifies."""
    witness, folder, sink = WitnessServer(tmp_path / "witness"), tmp_path / "archives", tmp_path / "audit.jsonl"
    with Server(safe) as server, witness.logs.open("a") as file:
        file.write(log_key(server).encode() + "\n")
    with witness:
        options = ("--witness", f"{witness.base_url}={witness.key.encode()}", "--audit-sink", sink.as_uri())
        with Server(safe, *options) as server, Wire.to(server) as wire:
            upload(wire, "worker", HELLO, secret("TOKEN", "first"))
            with Deliver(safe, server.base_url, tmp_path / "delivery") as delivery:
                until(lambda: delivery.workers.get("worker").text == "first")
                with writing(server) as statuses:
                    for _ in range(2):
                        until(lambda: archive(safe, folder))
                assert {200} == {*statuses}
                until(lambda: has_archived_all(safe, folder))
                put(wire, "worker", "TOKEN", "second")
                assert "second" == delivery.workers.text("worker")
                assert [] == delivery.problems()

            listed = wire.ask("GET", LOGS)
            assert 200 == listed.status
            assert 0 < len(listed.result) < len(statuses)
            assert 410 == wire.ask("GET", "/client/v4/nightsafe/log/entries/000.p/1").status
            assert 200 == wire.ask("GET", "/client/v4/nightsafe/log/tile/0/000.p/1").status
        assert "witness.problem" not in server.stderr.read_text()
        with Server(safe, *options) as server, Wire.to(server) as wire:
            put(wire, "worker", "TOKEN", "third")
        assert "audit_sink.started_over" not in server.stderr.read_text()

    fields = verified(safe, "--archive", str(folder))
    assert len(statuses) < fields["archived"]
    assert (0, 0) == (fields["unread"], fields["uncompared"])
    assert [*range(1, fields["entries"] + 1)] == [json.loads(line)["seq"] for line in sink.read_text().splitlines()]


def test_a_backup_of_an_archived_safe_is_restored(safe: Safe, tmp_path: Path) -> None:
    """A backup has the entries that are not archived. It and the restored safe verify with the archives."""
    folder, backup, keys = tmp_path / "archives", tmp_path / "backup.tar", safe.path / "keys" / "verify-keys.json"
    archived = until(lambda: archive(safe, folder))
    assert 0 == run("backup", str(backup), "--data", str(safe.path), cwd=tmp_path).returncode
    restored = tmp_path / "restored"
    done = run("restore", str(backup), "--data", str(restored), cwd=tmp_path)
    assert 0 == done.returncode, done.stderr

    options = ("--verify-keys", str(keys), "--archive", str(folder), "--json")
    done = run("audit", "verify", "--backup", str(backup), *options, cwd=tmp_path)
    assert (0, archived) == (done.returncode, json.loads(done.stdout)["archived"])
    done = run("audit", "verify", "--data", str(restored), *options, cwd=tmp_path)
    assert (0, archived) == (done.returncode, json.loads(done.stdout)["archived"])
