"""Bundles that are forged, or older than those seen before, are not served, and the log says so."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from tests.clients.wire.talk import SCRIPTS, Wire
from tests.live.tools.running import HELLO, Deliver, put, secret, until, upload
from tests.server import Safe, Server, run

from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys


@contextmanager
def served(safe: Safe) -> Iterator[tuple[Server, Wire]]:
    """Yield a server of the safe and its owner's client."""
    with Server(safe) as server, Wire.to(server) as wire:
        yield server, wire


def status(server: Server, *options: str) -> str:
    """Return the output of `nightsafe status`."""
    environ = {"CLOUDFLARE_BASE_URL": server.base_url, "CLOUDFLARE_API_TOKEN": server.safe.api_token}
    done = run("status", *options, cwd=server.safe.path.parent, environ=environ)
    assert 0 == done.returncode, done.stderr
    return done.stdout


def problems_in_status(server: Server) -> dict[str, str]:
    """Return the reasons in the table of `nightsafe status`, by script."""
    rows = status(server).partition("not served as deployed  reason\n")[2].splitlines()
    return {script: reason.strip() for script, _, reason in (row.partition("  ") for row in rows)}


def test_status_names_a_refused_script_and_the_reason(safe: Safe, tmp_path: Path) -> None:
    """A script that something else has changed in the database is in `nightsafe status`, until it is right again."""
    with served(safe) as (server, wire):
        upload(wire, "worker", HELLO, secret("TOKEN", "x"))
        upload(wire, "other", HELLO, secret("TOKEN", "y"))
    with closing(sqlite3.connect(safe.database)) as db:
        (settings,) = db.execute("SELECT triggers FROM scripts WHERE name = 'worker'").fetchone()
        db.execute("UPDATE scripts SET triggers = ? WHERE name = 'worker'", (b'{"enabled":true}',))
        db.commit()
    with served(safe) as (server, _), Deliver(safe, server.base_url, tmp_path / "delivery") as delivery:
        until(lambda: {"worker"} == set(problems_in_status(server)))
        reason = problems_in_status(server)["worker"]
        assert "somebody has changed the database" in reason
        [process] = json.loads(status(server, "--json"))["processes"]
        assert [{"script": "worker", "reason": reason}] == process["problems"]
        assert "y" == delivery.workers.text("other")
        assert 503 == delivery.workers.get("worker").status_code

        with closing(sqlite3.connect(safe.database)) as db:
            db.execute("UPDATE scripts SET triggers = ? WHERE name = 'worker'", (settings,))
            db.commit()
        until(lambda: not problems_in_status(server))
        assert "x" == delivery.workers.text("worker")


def damage_value(safe: Safe) -> None:
    """Change the last byte of the sealed value of TOKEN in the database."""
    with closing(sqlite3.connect(safe.database)) as db:
        [(row, sealed)] = db.execute("SELECT rowid, sealed FROM bindings WHERE name = 'TOKEN'")
        db.execute("UPDATE bindings SET sealed = ? WHERE rowid = ?", (sealed[:-1] + bytes([sealed[-1] ^ 1]), row))
        db.commit()


def test_a_damaged_value_does_not_replace_a_good_one(safe: Safe, tmp_path: Path) -> None:
    """A script with a damaged value stays in its last good state, and `status` says why, until it is put again."""
    with served(safe) as (server, wire), Deliver(safe, server.base_url, tmp_path / "delivery") as delivery:
        upload(wire, "worker", HELLO, secret("TOKEN", "good"))
        until(lambda: delivery.workers.get("worker").text == "good")
        damage_value(safe)
        put(wire, "worker", "OTHER", "any")
        reason = until(lambda: problems_in_status(server).get("worker"))
        assert "the value of the binding 'TOKEN' is not what was signed when it was put" in reason
        assert "good" == delivery.workers.text("worker")

        put(wire, "worker", "TOKEN", "new")
        until(lambda: delivery.workers.get("worker").text == "new")
        until(lambda: not problems_in_status(server))


def test_status_names_a_value_that_does_not_open(safe: Safe, tmp_path: Path) -> None:
    """A script without an earlier good state answers 500, and `status` names the value, until it is put again."""
    with served(safe) as (server, wire):
        upload(wire, "worker", HELLO, secret("TOKEN", "good"))
        damage_value(safe)
        with Deliver(safe, server.base_url, tmp_path / "delivery") as delivery:
            assert 500 == delivery.workers.get("worker").status_code
            reason = until(lambda: problems_in_status(server).get("worker"))
            assert "the value of 'TOKEN' cannot be opened" in reason

            put(wire, "worker", "TOKEN", "new")
            until(lambda: delivery.workers.get("worker").text == "new")
            until(lambda: not problems_in_status(server))


def test_a_script_whose_row_was_deleted_can_be_uploaded_again(safe: Safe, tmp_path: Path) -> None:
    """After something else has deleted the row of a script, an upload makes a new script, without any old binding."""
    with served(safe) as (server, wire), Deliver(safe, server.base_url, tmp_path / "delivery") as delivery:
        upload(wire, "worker", HELLO, secret("TOKEN", "old"), secret("OTHER", "old"))
        until(lambda: delivery.workers.get("worker").text == "old")
        with closing(sqlite3.connect(safe.database)) as db:
            db.execute("DELETE FROM scripts")
            db.commit()
        assert 404 == wire.put("worker", "TOKEN", "new").status
        for options in ((), ("--quick",)):
            done = run("doctor", "--data", str(safe.path), *options, cwd=tmp_path)
            assert 1 == done.returncode
        assert "the table bindings has a row of 'worker'" in done.stdout

        upload(wire, "worker", HELLO, secret("TOKEN", "new"))
        until(lambda: delivery.workers.get("worker").text == "new")
        assert ["TOKEN"] == [one["name"] for one in wire.ask("GET", f"{SCRIPTS}/worker/secrets").result]
        assert 200 == wire.put("worker", "OTHER", "new").status


def test_a_restored_database_is_not_served(safe: Safe, tmp_path: Path) -> None:
    """A delivery process notices at once, whether it was running or starts again: nothing older is served."""
    with served(safe) as (server, wire):
        upload(wire, "worker", HELLO, secret("TOKEN", "old"))
        port = server.port
        delivery = Deliver(safe, server.base_url, tmp_path / "delivery")
    shutil.copytree(safe.path, tmp_path / "older")
    with closing(Server(safe)) as server, ExitStack() as stack:
        server.start_at(port)
        stack.enter_context(delivery)
        with Wire.to(server) as wire:
            put(wire, "worker", "TOKEN", "new")
        until(lambda: delivery.workers.get("worker").text == "new")
        server.stop()
        shutil.rmtree(safe.path)
        shutil.copytree(tmp_path / "older", safe.path)
        server.start_at(port)
        until(lambda: [reason for reason in delivery.problems() if "put back to an older state" in reason])
        assert "new" == delivery.workers.text("worker")

        delivery.stop()
        delivery.start()
        until(lambda: delivery.workers.get("worker").status_code == 503)
        assert [reason for reason in delivery.problems() if "does not continue the log" in reason]

        assert "nightsafe delivery accept-restore" in until(lambda: problems_in_status(server).get("(all scripts)"))

        for number in range(3):  # past the highest serial that was seen
            with Wire.to(server) as wire:
                upload(wire, f"another-{number}", HELLO)
        assert 503 == delivery.workers.get("worker").status_code
        assert 503 == delivery.workers.get("another-0").status_code

        assert "stop it first" in delivery.accept_restore()
        delivery.stop()
        assert "Accepted." in delivery.accept_restore()
        delivery.start()
        until(lambda: delivery.workers.get("worker").text == "old")


def test_bundles_of_another_signer_are_refused(safe: Safe, tmp_path: Path) -> None:
    """The bundles are refused, whether somebody took the API's address or replaced its signing key."""
    with served(safe) as (server, wire):
        upload(wire, "worker", HELLO, secret("TOKEN", "x"))
        delivery = Deliver(safe, server.base_url, tmp_path / "delivery")
        keys = delivery.folder / "verify-keys.json"
        VerifyKeys([SigningKey.generate().verify_key]).save(keys, replace=True)
        with delivery:
            words = "no trusted key has signed the checkpoint"
            until(lambda: [reason for reason in delivery.problems() if words in reason])
            assert 503 == delivery.workers.get("worker").status_code
