"""Delivery that requires a witness, with all three processes: the API, the witness and workerd."""

from contextlib import closing
from pathlib import Path

from tests.clients.cli.witness.test_serving_with_witnesses import log_key
from tests.clients.cli.witness.test_witness import WitnessServer
from tests.clients.wire.talk import Wire
from tests.live.tools.running import HELLO, Deliver, put, secret, until, upload
from tests.server import Safe, Server


def test_scripts_are_served_once_the_log_is_cosigned(safe: Safe, tmp_path: Path) -> None:
    """Without a cosignature no script is served; with one it is, and then each new value when the API answers."""
    witness = WitnessServer(tmp_path / "witness")
    keys = tmp_path / "witness-keys"
    keys.write_text(witness.key.encode() + "\n")
    keys.chmod(0o644)
    with closing(Server(safe)) as server:
        server.start()
        with Wire.to(server) as wire:
            upload(wire, "worker", HELLO, secret("TOKEN", "first"))
        with witness.logs.open("a") as file:
            file.write(log_key(server).encode() + "\n")
        options = ("--require-witness", "1", "--witness-keys", str(keys))
        with Deliver(safe, server.base_url, tmp_path / "delivery", *options) as delivery, witness:
            words = "no checkpoint that 1 of the required witnesses have cosigned"
            until(lambda: [reason for reason in delivery.problems() if words in reason])
            assert 503 == delivery.workers.get("worker").status_code

            port = server.port
            server.stop()
            server._command += ["--witness", f"{witness.base_url}={witness.key.encode()}"]
            server.start_at(port)
            until(lambda: delivery.workers.get("worker").text == "first")
            until(lambda: "delivery.well_again" in delivery.stderr.read_text())
            with Wire.to(server) as wire:
                for value in ("second", "third"):
                    put(wire, "worker", "TOKEN", value)
                    assert value == delivery.workers.text("worker")

                witness.kill()
                put(wire, "worker", "TOKEN", "fourth")
                assert "fourth" == delivery.workers.text("worker")
                witness.start()
