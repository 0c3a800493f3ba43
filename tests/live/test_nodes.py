"""Several nodes' keys while delivery runs: it follows the file of verify keys, and never stops."""

import shutil
from pathlib import Path

from tests.clients.wire.talk import Wire
from tests.live.tools.running import HELLO, Deliver, put, secret, until, upload
from tests.server import Safe, Server, run

from nightsafe.sealing.signing_key import SigningKey


def copy_keys(node: Path, safe: Safe, *names: str) -> None:
    """Put key files of a node into the safe's directory, whose server then signs with that node's key."""
    for name in names:
        shutil.copy(node / "keys" / name, safe.path / "keys")


def test_delivery_follows_a_node_that_is_added_and_one_that_is_retired(safe: Safe, tmp_path: Path) -> None:
    """A running delivery process takes nothing from a node until its own list names the node's key, then everything.

    After the first node's retirement, scripts that only it has stated are still served, also by a new process, and a
    server with its key does not start.
    """
    admin, second = safe.path.parent / "admin", safe.path.parent / "second"
    shutil.copytree(safe.path, admin, ignore=shutil.ignore_patterns("nightsafe.db*"))
    first = SigningKey.load(safe.path / "keys" / "signing-key.json").id
    with Server(safe) as server, Wire.to(server) as wire:
        upload(wire, "older", HELLO, secret("TOKEN", "kept"))
        upload(wire, "worker", HELLO, secret("TOKEN", "one"))
        with Deliver(safe, server.base_url, tmp_path / "delivery") as delivery:
            until(lambda: delivery.workers.get("worker").text == "one")
            added = run("node", "add", "second", "--data", str(admin), "--output", str(second), cwd=admin.parent)
            assert 0 == added.returncode, added.stderr
            port = server.port
            server.stop()
            copy_keys(second, safe, "signing-key.json", "verify-keys.json")
            server.start_at(port)
            with Wire.to(server) as again:
                put(again, "worker", "TOKEN", "two")
            until(lambda: [reason for reason in delivery.problems() if "no trusted key has signed" in reason])
            assert "one" == delivery.workers.text("worker")

            shutil.copy(second / "keys" / "verify-keys.json", delivery.folder)
            until(lambda: delivery.workers.get("worker").text == "two")

            retired = run("node", "retire", first, "--data", str(safe.path), cwd=admin.parent)
            assert 0 == retired.returncode, retired.stderr
            shutil.copy(safe.path / "keys" / "verify-keys.json", delivery.folder)
            with Wire.to(server) as again:
                put(again, "worker", "TOKEN", "three")
            until(lambda: delivery.workers.get("worker").text == "three")
            delivery.stop()
            delivery.start()
            until(lambda: delivery.workers.get("older").text == "kept")
            until(lambda: delivery.workers.get("worker").text == "three")
        server.stop()
        copy_keys(admin, safe, "signing-key.json")
        refused = run("serve", "--port", "0", "--data", str(safe.path), cwd=safe.path.parent)
        assert "verify-keys.json: nobody would trust" in refused.stderr
        copy_keys(second, safe, "signing-key.json")
        server.start()
        assert 0 == run("audit", "verify", "--data", str(safe.path), cwd=safe.path.parent).returncode
